"""The receiver takes what the hub signed, once, and nothing else."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from channels.base import new_secret
from examples.verify_and_receive import Inbox
from hub.testing.patience import PATIENCE_SECONDS
from tests.examples.conftest import Tenant
from tests.examples.program import Program, serving_app
from tests.plain_http import NO_TLS
from tests.redis_servers import wait_until

EVENT = {"type": "parcel.sent", "timestamp": "2026-01-02T03:04:05Z", "data": {"n": 1}}


@pytest.fixture
def secret() -> str:
    return new_secret().get_secret_value()


def receiving(secret: str, directory: Path) -> Any:
    """The receiver, with its inbox in this directory."""
    return serving_app("verify_and_receive", WEBHOOK_SECRET=secret, INBOX=str(directory / "inbox.db"))


def post(url: str, webhook_id: str, secret: str) -> httpx.Response:
    """What the receiver answers to a webhook that is signed with this secret."""
    body, now = json.dumps(EVENT), datetime.now(UTC)  # noqa: TID251 - the receiver is on the machine's clock
    headers = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(webhook_id, now, body),
    }
    return httpx.post(
        f"{url}/hooks", content=body, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False
    )


def handled(program: Program) -> list[str]:
    """The ids of the webhooks that it says it handled."""
    return [line.split()[2] for line in program.lines if "handled" in line]


def test_an_event_is_received_from_the_hub_and_a_repeated_delivery_is_handled_once(
    tenant: Tenant, secret: str, tmp_path: Path
) -> None:
    with receiving(secret, tmp_path) as (program, url):
        target = {"url": f"{url}/hooks", "secret": secret}
        tenant.call("POST", "/v1/subscriptions", name="example", event_types=["*"], channel="webhook", target=target)
        first = tenant.call("POST", "/v1/events", type="parcel.sent", data={"n": 1})["id"]
        program.printed(rf'handled {first} parcel.sent {{"n": 1}}')
        # The hub may hear of the answer after the receiver has handled the event, and repeats nothing while it sends.
        wait_until(lambda: tenant.call("GET", f"/v1/events/{first}")["deliveries"] == {"delivered": 1})
        assert len(tenant.call("POST", f"/v1/events/{first}/replay")["items"]) == 1
        program.printed('"POST /hooks HTTP/1.1" 204', times=2)
        second = tenant.call("POST", "/v1/events", type="parcel.sent", data={"n": 2})["id"]
        program.printed(f"handled {second}")
        assert handled(program) == [first, second]


def test_what_the_hub_did_not_sign_is_refused(secret: str, tmp_path: Path) -> None:
    with receiving(secret, tmp_path) as (_, url):
        forged = post(url, "evt_1", new_secret().get_secret_value())
        bare = httpx.post(f"{url}/hooks", json=EVENT, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False)
        genuine = post(url, "evt_1", secret)
    assert [forged.status_code, bare.status_code, genuine.status_code] == [401, 401, 204]
    assert [webhook_id for webhook_id, _ in Inbox(tmp_path / "inbox.db").waiting()] in ([], ["evt_1"])


def test_what_a_run_left_behind_is_handled_by_the_next(secret: str, tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.db")
    for webhook_id in ("evt_1", "evt_2"):
        assert inbox.keep(webhook_id, json.dumps(EVENT).encode())
    inbox.mark_handled("evt_1")
    with receiving(secret, tmp_path) as (program, url):
        program.printed("handled evt_2")
        assert post(url, "evt_1", secret).status_code == 204
        assert post(url, "evt_3", secret).status_code == 204
        program.printed("handled evt_3")
        assert handled(program) == ["evt_2", "evt_3"]


def test_a_webhook_that_cannot_be_handled_does_not_stop_the_others(secret: str, tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox.db")
    inbox.keep("evt_1", b"[]")
    with receiving(secret, tmp_path) as (program, url):
        program.printed("evt_1 is not handled")
        for webhook_id in ("evt_2", "evt_3"):
            assert post(url, webhook_id, secret).status_code == 204
            program.printed(f"handled {webhook_id}")
    # The last one may not have been marked yet when the receiver was killed.
    assert {webhook_id for webhook_id, _ in inbox.waiting()} - {"evt_3"} == {"evt_1"}
