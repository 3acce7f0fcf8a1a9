"""The secrets that messages are signed with."""

from datetime import datetime

import pytest
from standardwebhooks import Webhook

from hub.testing.receivers import Arrival, Receiver
from tests.api_support import Api, pointers

pytestmark = pytest.mark.usefixtures("unswept")

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAA"
SPEC = {
    "name": "all",
    "event_types": ["*"],
    "channel": "webhook",
    "target": {"url": "https://example.com/hooks", "secret": SECRET},
}


def is_signed_by(secret: str, arrival: Arrival) -> bool:
    """Whether one of the signatures is what the oracle makes with this secret."""
    at = datetime.fromtimestamp(int(arrival.headers["webhook-timestamp"])).astimezone()
    expected = Webhook(secret).sign(arrival.headers["webhook-id"], at, arrival.body.decode())
    return expected in arrival.headers["webhook-signature"].split(" ")


async def test_after_a_rotation_messages_are_signed_with_both_secrets_until_the_grace_is_over(api: Api) -> None:
    async with Receiver() as receiver:
        made = await api.subscribe(channel="webhook", target={"url": receiver.url, "secret": SECRET})
        path = f"/v1/subscriptions/{made['id']}"
        rotated = await api.admin.post(f"{path}/rotate-secret", json={"grace_seconds": 60})
        assert rotated.status_code == 200
        fresh = rotated.json()["secret"]
        assert fresh != SECRET
        assert (await api.admin.get(f"{path}/secret")).json() == {"secret": fresh}
        await api.publish()
        await receiver.arrived(1)
        api.clock.advance(61)
        await api.publish()
        during, after = await receiver.arrived(2)
    assert is_signed_by(SECRET, during)
    assert is_signed_by(fresh, during)
    assert not is_signed_by(SECRET, after)
    assert is_signed_by(fresh, after)


async def test_a_rotation_without_a_body_grants_a_day(api: Api) -> None:
    made = (await api.admin.post("/v1/subscriptions", json=SPEC)).json()
    (await api.admin.post(f"/v1/subscriptions/{made['id']}/rotate-secret")).raise_for_status()
    target = api.services.subscriptions.find("default", made["id"]).target.model_dump()
    (previous,) = target["previous_secrets"]
    assert previous["expires_at"].isoformat() == "2026-11-24T12:00:00+00:00"


@pytest.mark.parametrize("grace", [-1, 30 * 86_400 + 1, "soon"])
async def test_a_grace_is_at_most_thirty_days(api: Api, grace: object) -> None:
    made = (await api.admin.post("/v1/subscriptions", json=SPEC)).json()
    refused = await api.admin.post(f"/v1/subscriptions/{made['id']}/rotate-secret", json={"grace_seconds": grace})
    assert (refused.status_code, pointers(refused)) == (422, ["/grace_seconds"])


@pytest.mark.parametrize(("method", "path"), [("GET", "secret"), ("POST", "rotate-secret")])
async def test_a_channel_that_does_not_sign_has_no_secret(api: Api, method: str, path: str) -> None:
    made = await api.subscribe()
    assert (await api.admin.request(method, f"/v1/subscriptions/{made['id']}/{path}")).status_code == 409
