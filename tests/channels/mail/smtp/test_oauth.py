"""Access tokens from a token server and from a command."""

import asyncio
import sys
from urllib.parse import parse_qs

import httpx
import pytest

from channels.base import SendFailed
from channels.mail import open_tokens
from channels.mail.smtp.oauth import Token, Tokens
from hub.testing.receivers import Receiver, Reply

CLIENT = {
    "smtp_oauth_client_id": "hub",
    "smtp_oauth_client_secret": "canary-secret",
    "smtp_oauth_scope": "https://outlook.office365.com/.default",
}


def opened(http: httpx.AsyncClient, **options: str) -> Tokens:
    tokens = open_tokens(options, http)
    assert tokens is not None
    return tokens


def printing(program: str) -> dict[str, str]:
    return {"smtp_oauth_command": f'{sys.executable} -c "{program}"'}


async def test_client_credentials_are_exchanged_for_a_token(http: httpx.AsyncClient) -> None:
    async with Receiver([Reply(200, '{"access_token": "t-1", "expires_in": "3599"}')]) as receiver:
        tokens = opened(http, smtp_oauth_token_url=receiver.url, **CLIENT)
        assert [await tokens.current() for _ in range(3)] == ["t-1"] * 3
    (arrival,) = receiver.requests
    assert (arrival.method, arrival.headers["Content-Type"]) == ("POST", "application/x-www-form-urlencoded")
    assert parse_qs(arrival.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["hub"],
        "client_secret": ["canary-secret"],
        "scope": ["https://outlook.office365.com/.default"],
    }


@pytest.mark.parametrize(
    ("reply", "detail"),
    [
        (
            Reply(401, '{"error": "invalid_client", "error_description": "canary-secret is wrong"}'),
            "401 invalid_client",
        ),
        (Reply(503, "down"), "answered 503"),
        (Reply(200, "<html>"), "the answer holds no access_token"),
        (Reply(200, '{"access_token": "a\\r\\nb"}'), "the answer holds no access_token"),
        (Reply(200, '["access_token"]'), "the answer holds no access_token"),
    ],
)
async def test_a_token_that_is_not_given_is_a_failure_that_may_pass(
    http: httpx.AsyncClient, reply: Reply, detail: str
) -> None:
    async with Receiver([reply]) as receiver:
        with pytest.raises(SendFailed, match=f"no access token for the mail server: .*{detail}") as caught:
            await opened(http, smtp_oauth_token_url=receiver.url, **CLIENT).current()
    assert not caught.value.permanent
    assert "canary" not in caught.value.detail


@pytest.mark.process
@pytest.mark.parametrize(
    ("program", "token"),
    [
        ("print('t-1')", "t-1"),
        ("import json; print(json.dumps(dict(access_token='t-2', expires_in=60)))", "t-2"),
        ("import os; print(len([name for name in os.environ if name.startswith('HUB_')]))", "0"),
    ],
)
async def test_a_command_prints_a_token(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, program: str, token: str
) -> None:
    monkeypatch.setenv("HUB_SECRET_KEY", "canary")
    assert await opened(http, **printing(program)).current() == token


@pytest.mark.process
@pytest.mark.parametrize(
    ("options", "detail"),
    [
        (printing("raise SystemExit(3)"), "the command ended with 3"),
        (printing("print('two words')"), "the command printed none"),
        (printing(""), "the command printed none"),
        ({"smtp_oauth_command": "/no/such/command"}, "the command cannot be run: No such file"),
    ],
)
async def test_a_command_that_gives_none_says_why(
    http: httpx.AsyncClient, options: dict[str, str], detail: str
) -> None:
    with pytest.raises(SendFailed, match=detail):
        await opened(http, **options).current()


@pytest.mark.process
async def test_a_command_that_hangs_is_ended(http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channels.mail.smtp.oauth.FETCH_SECONDS", 0.1)
    with pytest.raises(SendFailed, match="nothing came within"):
        await opened(http, smtp_oauth_command="sleep 600").current()


class Fetches:
    """Gives tokens with these lifetimes in turn; None fails."""

    def __init__(self, *lifetimes: float | None) -> None:
        self.left = list(lifetimes)
        self.made = 0

    async def __call__(self) -> Token:
        self.made += 1
        await asyncio.sleep(0)
        if (lifetime := self.left.pop(0)) is None:
            raise SendFailed("no access token for the mail server: answered 503")
        return Token(f"t-{self.made}", lifetime)


async def test_only_one_is_fetched_at_a_time() -> None:
    fetches = Fetches(3600)
    tokens = Tokens(fetches)
    assert await asyncio.gather(*(tokens.current() for _ in range(10))) == ["t-1"] * 10
    assert fetches.made == 1


@pytest.mark.parametrize(
    ("passed", "lifetimes", "expected"),
    [
        (3_530, (3_600, 3_600), ["t-1", "t-1"]),
        (3_545, (3_600, 3_600), ["t-1", "t-2"]),
        (3_545, (3_600, None), ["t-1", "t-1"]),
        (25, (60, 60), ["t-1", "t-1"]),
        (35, (60, 60), ["t-1", "t-2"]),
    ],
)
async def test_a_token_is_renewed_before_it_expires_and_serves_until_then(
    monkeypatch: pytest.MonkeyPatch, passed: float, lifetimes: tuple[float | None, ...], expected: list[str]
) -> None:
    tokens, loop = Tokens(Fetches(*lifetimes)), asyncio.get_running_loop()
    first = await tokens.current()
    later = loop.time() + passed
    monkeypatch.setattr(loop, "time", lambda: later)
    assert [first, await tokens.current()] == expected


async def test_an_expired_token_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, loop = Tokens(Fetches(60, None)), asyncio.get_running_loop()
    await tokens.current()
    later = loop.time() + 61
    monkeypatch.setattr(loop, "time", lambda: later)
    with pytest.raises(SendFailed, match="503"):
        await tokens.current()


@pytest.mark.parametrize(
    ("options", "detail"),
    [
        ({"smtp_oauth_token_url": "https://x.example", "smtp_oauth_client_id": "a"}, "CLIENT_SECRET is not set"),
        ({"smtp_oauth_token_url": "https://x.example", "smtp_oauth_client_secret": "a"}, "CLIENT_ID is not set"),
        ({"smtp_oauth_token_url": "x.example/canary", **CLIENT}, "TOKEN_URL is not a valid URL"),
        ({"smtp_oauth_token_url": "https://x.example", "smtp_oauth_command": "canary"}, "cannot be used together"),
        ({"smtp_oauth_command": "canary 'open"}, "quotation mark without an end"),
    ],
)
def test_options_that_cannot_work_are_refused(http: httpx.AsyncClient, options: dict[str, str], detail: str) -> None:
    with pytest.raises(ValueError, match=detail) as caught:
        open_tokens(options, http)
    assert "canary" not in str(caught.value)


def test_without_options_there_are_no_tokens(http: httpx.AsyncClient) -> None:
    assert open_tokens({}, http) is None
