"""The doctor finds what is wrong with a running hub and says what to do about it."""

import asyncio
import json
from email.utils import format_datetime
from importlib.metadata import version

import pytest

from hub.cli.client import HubClient, Unreachable
from hub.cli.server_checks import server
from hub.clock import SystemClock
from hub.findings import Finding
from hub.testing.clock import START, ManualClock
from hub.testing.receivers import Arrival, Receiver, Reply

HEALTHY = {
    "/livez": Reply(200, "{}"),
    "/readyz": Reply(200, "{}"),
    "/openapi.json": Reply(200, json.dumps({"info": {"version": version("notification-hub")}})),
    "/v1/event-types?limit=1": Reply(200, '{"items": []}'),
    "/v1/channels/check": Reply(200, '{"items": [{"kind": "email", "subscriptions": 2, "problems": []}]}'),
}


async def examined(answers: dict[str, Reply], *, seconds_apart: float = 0.0) -> dict[str, Finding]:
    """What the doctor finds at a hub that gives these answers, dated by the tests' clock."""
    clock = ManualClock()
    clock.advance(seconds_apart)

    def script(arrival: Arrival) -> Reply:
        answer = answers[arrival.path]
        return Reply(answer.status, answer.body, {"Date": format_datetime(START, usegmt=True), **answer.headers})

    def run(url: str) -> dict[str, Finding]:
        with HubClient(url, "a-key") as hub:
            return {finding.check: finding for finding in server(hub, clock)}

    async with Receiver(script) as receiver:
        return await asyncio.to_thread(run, receiver.url)


async def test_a_healthy_hub_has_nothing_to_fix() -> None:
    found = await examined(HEALTHY)
    assert list(found) == ["alive", "clock", "ready", "version", "key", "channel email"]
    assert {finding.state for finding in found.values()} == {"ok"}


async def test_a_hub_that_is_not_ready_says_why() -> None:
    reasons = {"status": "not_ready", "reasons": ["The disk is full: free some space."]}
    found = await examined({**HEALTHY, "/readyz": Reply(503, json.dumps(reasons))})
    assert (found["ready"].state, found["ready"].seen) == ("failed", "The disk is full: free some space.")


@pytest.mark.parametrize(("apart", "state"), [(4.0, "ok"), (30.0, "warning"), (-30.0, "warning"), (90.0, "failed")])
async def test_clocks_that_are_apart_are_found(apart: float, state: str) -> None:
    assert (await examined(HEALTHY, seconds_apart=apart))["clock"].state == state


async def test_another_version_is_found() -> None:
    found = await examined({**HEALTHY, "/openapi.json": Reply(200, '{"info": {"version": "9.0"}}')})
    assert (found["version"].state, "9.0" in found["version"].seen) == ("warning", True)


async def test_a_key_that_is_not_taken_is_found() -> None:
    refused = Reply(401, '{"detail": "The key is unknown."}')
    found = await examined({**HEALTHY, "/v1/event-types?limit=1": refused})
    assert (found["key"].state, found["key"].seen) == ("failed", "The key is unknown. [401]")


async def test_a_dead_process_behind_a_proxy_is_found() -> None:
    found = await examined({"/livez": Reply(502, "")})
    assert [finding.state for finding in found.values()] == ["failed"]


async def test_another_program_at_the_address_is_told_apart() -> None:
    found = await examined({"/livez": Reply(404, "<h1>Not found</h1>")})
    assert found["alive"].seen.startswith("something else than a hub answers at http://127.0.0.1:")
    assert "HUB_PORT" in found["alive"].advice


def test_no_hub_at_all_is_told_apart() -> None:
    with HubClient("http://127.0.0.1:1", "a-key") as hub, pytest.raises(Unreachable):
        list(server(hub, SystemClock()))


async def test_what_the_hub_finds_of_its_channels_is_shown() -> None:
    problems = [
        {"detail": "the mail server refused the login: 535", "subscription_id": None},
        {"detail": "no sender", "subscription_id": "sub_1"},
    ]
    checked = {"items": [{"kind": "email", "subscriptions": 1, "problems": problems}]}
    found = await examined({**HEALTHY, "/v1/channels/check": Reply(200, json.dumps(checked))})
    assert (found["channel email"].state, found["channel email"].seen) == ("failed", "no sender (subscription sub_1)")


@pytest.mark.parametrize(("status", "shown"), [(403, ["warning"]), (404, []), (500, ["failed"])])
async def test_channels_that_cannot_be_checked_are_told_apart(status: int, shown: list[str]) -> None:
    found = await examined({**HEALTHY, "/v1/channels/check": Reply(status, '{"detail": "no"}')})
    assert [finding.state for name, finding in found.items() if name.startswith("channel")] == shown


async def test_what_a_ready_hub_warns_of_is_shown() -> None:
    warned = {"status": "ready", "warnings": ["Deliveries of 2 subscriptions to email are held: no sender."]}
    found = await examined({**HEALTHY, "/readyz": Reply(200, json.dumps(warned))})
    assert found["ready"].state == "warning"
    assert "2 subscriptions to email are held" in found["ready"].seen
