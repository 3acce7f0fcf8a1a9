"""The Standard Webhooks libraries of Python, JavaScript and Go verify what the hub sends and refuse what is altered."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from hub.testing.patience import PATIENCE_SECONDS
from hub.testing.receivers import Arrival, Receiver
from tests.interop.conftest import Run
from tests.plain_http import NO_TLS
from tests.serving import ServedHub

pytestmark = pytest.mark.interop

DATA = {"name": "Zoë 🍵", "total": 12.50, "text": 'a "b" \\ \n'}


@pytest.fixture
async def received(hub: ServedHub) -> AsyncIterator[tuple[Arrival, list[str]]]:
    """A webhook as it came, signed with two secrets during a rotation, and both secrets."""
    headers = {"Authorization": f"Bearer {hub.key}"}
    async with (
        Receiver() as receiver,
        httpx.AsyncClient(
            base_url=hub.url, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False
        ) as client,
    ):
        spec = {"name": "a", "event_types": ["*"], "channel": "webhook", "target": {"url": receiver.url}}
        made = (await client.post("/v1/subscriptions", json=spec)).raise_for_status().json()
        place = f"/v1/subscriptions/{made['id']}"
        old = (await client.get(f"{place}/secret")).raise_for_status().json()["secret"]
        new = (await client.post(f"{place}/rotate-secret")).raise_for_status().json()["secret"]
        (await client.post("/v1/events", json={"type": "stock.low", "data": DATA})).raise_for_status()
        (arrival, *_) = await receiver.arrived()
        yield arrival, [old, new]


def told(arrival: Arrival, secret: str, body: str) -> str:
    headers = {name.lower(): value for name, value in arrival.headers.items()}
    return json.dumps({"secret": secret, "headers": headers, "body": body})


def check(received: tuple[Arrival, list[str]], verify: Callable[[str], object], refusal: type[BaseException]) -> None:
    arrival, secrets = received
    body = arrival.body.decode()
    for secret in secrets:
        verify(told(arrival, secret, body))
        with pytest.raises(refusal):
            verify(told(arrival, secret, body.replace("12.5", "12.6")))


def test_in_python(received: tuple[Arrival, list[str]]) -> None:
    def verify(text: str) -> None:
        given = json.loads(text)
        Webhook(given["secret"]).verify(given["body"], given["headers"])

    check(received, verify, WebhookVerificationError)


def test_in_javascript(received: tuple[Arrival, list[str]], typescript: Path, run: Run) -> None:
    check(received, lambda text: run("node", "verify.mjs", cwd=typescript, given=text), AssertionError)


def test_in_go(received: tuple[Arrival, list[str]], go: Path, run: Run) -> None:
    run("go", "build", "-o", "verifier", "./verify", cwd=go)
    check(received, lambda text: run(str(go / "verifier"), cwd=go, given=text), AssertionError)
