"""Logins at real servers, with passwords and with access tokens."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from channels.base import ChannelUnavailable, SendFailed
from channels.mail import SmtpPool, SmtpServer
from channels.mail.smtp.oauth import Token, Tokens
from hub.testing.receivers import raw_receiver
from tests.channels.mail.mails import MAIL
from tests.smtp import MailServer


class Issuer:
    """Gives the tokens `t-1`, `t-2` and so on."""

    def __init__(self) -> None:
        self.issued = 0

    async def fetch(self) -> Token:
        self.issued += 1
        return Token(f"t-{self.issued}")


Send = Callable[..., Awaitable[None]]


@pytest.fixture
async def send(client_tls: ssl.SSLContext) -> AsyncIterator[Send]:
    """Sends a mail through a pool of its own, at a URL and with tokens."""
    pools: list[SmtpPool] = []

    async def sent(url: str, tokens: Tokens | None = None) -> None:
        pools.append(SmtpPool(SmtpServer.parse(url), client_tls, tokens=tokens))
        await pools[-1].send(MAIL)

    yield sent
    for pool in pools:
        await pool.aclose()


def assert_counts_and_is_tried_again(failure: SendFailed) -> None:
    """A hold would wait for other settings, and this needs none: see `ChannelUnavailable`."""
    assert not isinstance(failure, ChannelUnavailable)
    assert (failure.status_code, failure.permanent) == (535, False)


async def test_a_token_logs_in(send: Send) -> None:
    async with MailServer(tokens={"t-1"}) as server:
        await send(server.url, Tokens(Issuer().fetch))
    assert server.mails[0].login == "hub"


async def test_a_token_that_is_refused_is_not_used_again(send: Send) -> None:
    tokens = Tokens(Issuer().fetch)
    async with MailServer(tokens={"t-2"}) as server:
        with pytest.raises(SendFailed, match="refused the login with XOAUTH2: 535; the next attempt") as caught:
            await send(server.url, tokens)
        assert_counts_and_is_tried_again(caught.value)
        await send(server.url, tokens)
    assert len(server.mails) == 1


async def test_a_server_that_takes_no_tokens_is_named_as_the_reason(send: Send) -> None:
    async with MailServer() as server:
        with pytest.raises(ChannelUnavailable, match="offers no login with XOAUTH2"):
            await send(server.url.replace("smtp://", "smtp://hub@"), Tokens(Issuer().fetch))


async def test_without_a_token_no_login_is_tried(send: Send) -> None:
    async def none() -> Token:
        raise SendFailed("no access token for the mail server: answered 401")

    async with MailServer(tokens=set()) as server:
        with pytest.raises(SendFailed, match="no access token"):
            await send(server.url, Tokens(none))
    assert server.mails == []


async def test_where_no_password_is_taken_it_is_tried_as_a_token(send: Send) -> None:
    async with MailServer(tokens={"canary-token"}) as server:
        await send(server.url.replace("hub@", "hub:canary-token@"))
        with pytest.raises(SendFailed) as caught:
            await send(server.url.replace("hub@", "hub:canary-password@"))
    assert server.mails[0].login == "hub"
    assert "refused the login with XOAUTH2: 535; set HUB_SMTP_OAUTH_TOKEN_URL" in caught.value.detail
    assert_counts_and_is_tried_again(caught.value)
    assert "canary" not in f"{caught.value.detail} {caught.value.response_body}"


async def test_a_password_refused_where_a_token_would_be_taken_says_so(send: Send) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 ok\r\n")
        while line := await reader.readline():
            greets = line.startswith(b"EHLO")
            writer.write(b"250-ok\r\n250 AUTH LOGIN XOAUTH2\r\n" if greets else b"535 5.7.139 Basic is disabled\r\n")

    async with raw_receiver(talk) as port:
        with pytest.raises(ChannelUnavailable, match="535; it offers XOAUTH2: set HUB_SMTP_OAUTH_TOKEN_URL"):
            await send(f"smtp://hub:pw@127.0.0.1:{port}")
