"""The client turns every failure into one sentence that says what to do."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from hub.cli.client import ClientError, HubClient, Refused, Unreachable, is_local
from hub.testing.receivers import Receiver, Reply, raw_receiver


async def call(url: str, work: Callable[[HubClient], Any], *, key: str | None = None, patience: float = 5.0) -> Any:
    """Run blocking work of the client beside the event loop that serves it."""

    def run() -> Any:
        with HubClient(url, key, timeout=patience) as hub:
            return work(hub)

    return await asyncio.to_thread(run)


def problem(status: int, detail: str, **members: Any) -> Reply:
    body = json.dumps({"type": "urn:x", "title": "X", "status": status, "detail": detail, **members})
    return Reply(status, body, {"Content-Type": "application/problem+json"})


async def test_the_key_goes_as_a_bearer_and_empty_parameters_stay_out() -> None:
    async with Receiver([Reply(200, '{"items": []}')]) as receiver:
        found = await call(
            receiver.url, lambda hub: hub.get("/v1/keys", {"limit": "5", "cursor": None}), key="a-secret"
        )
    assert found == {"items": []}
    assert receiver.requests[0].path == "/v1/keys?limit=5"
    assert receiver.requests[0].headers["Authorization"] == "Bearer a-secret"


async def test_a_problem_is_one_line_with_its_faults_and_status() -> None:
    faults = [{"detail": "Field required", "pointer": "/data/order_id"}, {"detail": "too long", "pointer": "/type"}]
    async with Receiver([problem(422, "The event breaks a rule.", errors=faults)]) as receiver:
        with pytest.raises(Refused) as caught:
            await call(receiver.url, lambda hub: hub.post("/v1/events", b"{}"))
    expected = "The event breaks a rule. (/data/order_id: Field required; /type: too long) [422]"
    assert (str(caught.value), caught.value.status) == (expected, 422)


async def test_who_gives_no_key_is_told_how_to_give_one() -> None:
    async with Receiver([problem(401, "Send a key as `Authorization: Bearer <key>`.")]) as receiver:
        with pytest.raises(Refused, match=r"^The hub needs a key: give --key or set HUB_KEY\. \[401\]$"):
            await call(receiver.url, lambda hub: hub.get("/v1/events"))


async def test_an_overloaded_hub_says_when_to_try_again() -> None:
    answer = problem(503, "The disk is full.")
    async with Receiver([Reply(503, answer.body, {"Retry-After": "7"})]) as receiver:
        with pytest.raises(Refused, match=r"^The disk is full\. \(try again in 7 s\) \[503\]$"):
            await call(receiver.url, lambda hub: hub.post("/v1/events", b"{}"))


@pytest.mark.parametrize("body", ["<h1>Bad gateway</h1>", '"text"', "[]", '{"title": "no detail"}', ""])
async def test_an_error_that_is_no_problem_is_told_by_its_status(body: str) -> None:
    async with Receiver([Reply(502, body)]) as receiver:
        with pytest.raises(Refused, match=r"^The hub answered 502 Bad Gateway\.$"):
            await call(receiver.url, lambda hub: hub.get("/v1/keys"))


async def test_what_is_not_a_hub_is_said_to_be_none() -> None:
    async with Receiver([Reply(200, "<h1>Welcome</h1>")]) as receiver:
        with pytest.raises(Refused, match="is not a hub"):
            await call(receiver.url, lambda hub: hub.get("/v1/keys"))


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    async with Receiver([Reply(302, "", {"Location": "/elsewhere"})]) as receiver:
        with pytest.raises(Refused, match="302"):
            await call(receiver.url, lambda hub: hub.get("/v1/keys"), key="a-secret")
    assert len(receiver.requests) == 1


async def test_a_hub_that_is_not_there_is_said_to_be_started_first() -> None:
    async with raw_receiver(_hang_up) as port:
        pass
    with pytest.raises(Unreachable, match="start one with `hub serve`"):
        await call(f"http://127.0.0.1:{port}", lambda hub: hub.get("/v1/keys"))


async def test_a_silent_hub_is_given_up() -> None:
    async with raw_receiver(_stay_silent) as port:
        with pytest.raises(Unreachable, match="did not answer in time"):
            await call(f"http://127.0.0.1:{port}", lambda hub: hub.get("/v1/keys"), patience=0.05)


async def test_a_broken_connection_is_told() -> None:
    async with raw_receiver(_hang_up) as port:
        with pytest.raises(Unreachable, match="broke"):
            await call(f"http://127.0.0.1:{port}", lambda hub: hub.get("/v1/keys"))


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "localhost", "ftp://localhost", "http://", "http://[::1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ClientError, match="address"):
        HubClient(url)


@pytest.mark.parametrize("key", ["clé", "two\nlines"])
def test_a_key_that_cannot_stand_in_a_header_is_refused(key: str) -> None:
    with pytest.raises(ClientError, match="HUB_KEY"):
        HubClient("http://127.0.0.1:8000", key)


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://localhost", True),
        ("http://[::1]:8000", True),
        ("https://hub.example.com", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost@evil.example.com", False),
    ],
)
def test_only_loopback_addresses_are_this_machine(url: str, local: bool) -> None:
    assert is_local(url) is local
