"""The receiver takes what is signed with its secret and recent, and nothing else."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from standardwebhooks import Webhook

from channels.base import new_secret
from examples.receiver import TOLERANCE_SECONDS, is_signed
from hub.testing.patience import PATIENCE_SECONDS
from tests.examples.conftest import Tenant
from tests.examples.program import running
from tests.plain_http import NO_TLS
from tests.redis_servers import wait_until

SECRET, OTHER = (new_secret().get_secret_value() for _ in range(2))
BODY = '{"type": "parcel.sent", "data": {"n": 1}}'
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def signed(secret: str = SECRET, at: datetime = NOW) -> dict[str, str]:
    signature = Webhook(secret).sign("evt_1", at, BODY)
    return {"webhook-id": "evt_1", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


@pytest.mark.parametrize(
    ("headers", "taken"),
    [
        (signed(), True),
        ({**signed(), "webhook-signature": f"v1,AAAA {signed()['webhook-signature']}"}, True),
        (signed(OTHER), False),
        ({**signed(), "webhook-id": "evt_2"}, False),
        ({**signed(), "webhook-timestamp": "now"}, False),
        (signed(at=NOW - timedelta(seconds=TOLERANCE_SECONDS + 1)), False),
        ({}, False),
    ],
)
def test_only_what_the_hub_signed_lately_is_taken(headers: dict[str, str], taken: bool) -> None:
    assert is_signed(BODY.encode(), headers, SECRET, NOW.timestamp()) is taken


def test_a_body_that_was_changed_is_refused() -> None:
    assert not is_signed(BODY.replace("1", "2").encode(), signed(), SECRET, NOW.timestamp())


def test_it_receives_from_the_hub_and_refuses_others(tenant: Tenant) -> None:
    with running("examples.receiver", "0", WEBHOOK_SECRET=SECRET) as program:
        url = program.printed(r"Receiving on (http://\S+)")[1]
        target = {"url": url, "secret": SECRET}
        tenant.call("POST", "/v1/subscriptions", name="example", event_types=["*"], channel="webhook", target=target)
        event = tenant.call("POST", "/v1/events", type="parcel.sent", data={"n": 1})["id"]
        program.printed(rf'verified: parcel.sent {event} {{"n": 1}}')
        wait_until(lambda: tenant.call("GET", f"/v1/events/{event}")["deliveries"] == {"delivered": 1})
        tenant.call("POST", f"/v1/events/{event}/replay")
        program.printed(rf"{event} \(again\)")
        now = datetime.now(UTC)  # noqa: TID251 - the receiver is on the machine's clock
        forged = httpx.post(
            url, content=BODY, headers=signed(OTHER, at=now),
            timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False,
        )  # fmt: skip
        assert forged.status_code == 401
        program.printed("refused")


def test_without_a_secret_it_says_what_to_set() -> None:
    with running("examples.receiver") as program:
        program.printed("Set WEBHOOK_SECRET")
        assert program.ended() == 1
