"""Real SMTP servers, polite and otherwise; drill F40."""

import asyncio
import ssl

import pytest
import trustme

from channels.base import ChannelUnavailable, SendFailed
from channels.mail import EhloName, SmtpServer
from channels.mail.smtp.pool import MAX_MESSAGES
from hub.testing.patience import patience
from hub.testing.receivers import raw_receiver
from tests.channels.mail.mails import MAIL, mail
from tests.channels.mail.smtp.conftest import Pools
from tests.smtp import MailServer

LOGIN = ("hub", "canary-password")


async def test_a_mail_is_handed_in(pool_for: Pools) -> None:
    async with MailServer() as server:
        receipt = await pool_for(server.url).send(MAIL)
    (received,) = server.mails
    assert receipt.status_code == 250
    assert received.sender == "shop@example.com"
    assert received.recipients == ("ann@example.com", "cc@example.com", "bcc@example.com")
    assert received.message["Message-ID"] == "<dlv_1@example.com>"
    assert received.message["Bcc"] is None
    assert not received.over_tls


@pytest.mark.parametrize("implicit", [False, True])
async def test_it_goes_over_tls_with_a_login(pool_for: Pools, server_tls: ssl.SSLContext, implicit: bool) -> None:
    async with MailServer(tls=server_tls, implicit_tls=implicit, login=LOGIN) as server:
        await pool_for(server.url).send(MAIL)
    assert (server.mails[0].over_tls, server.mails[0].login) == (True, "hub")


@pytest.mark.parametrize("implicit", [False, True])
async def test_a_certificate_that_does_not_verify_ends_it_before_the_login(
    pool_for: Pools, server_tls: ssl.SSLContext, implicit: bool
) -> None:
    other = ssl.create_default_context()
    trustme.CA().configure_trust(other)
    async with MailServer(tls=server_tls, implicit_tls=implicit, login=LOGIN) as server:
        with pytest.raises(SendFailed) as caught:
            await pool_for(server.url, other).send(MAIL)
    assert caught.value.detail == "TLS with the mail server failed"
    assert not caught.value.permanent
    assert server.mails == []


async def test_a_stripped_starttls_is_a_failure_and_nothing_goes_in_the_clear(pool_for: Pools) -> None:
    async with MailServer() as plain:
        with pytest.raises(SendFailed) as caught:
            await pool_for(plain.url.replace("smtp://", "smtp+starttls://hub:canary@")).send(MAIL)
    assert "STARTTLS" in caught.value.detail
    assert isinstance(caught.value, ChannelUnavailable)
    assert plain.mails == []


async def test_a_relay_whose_name_does_not_resolve_is_a_matter_of_the_settings(pool_for: Pools) -> None:
    with pytest.raises(ChannelUnavailable, match="HUB_SMTP_URL"):
        await pool_for("smtp://relay.invalid").send(MAIL)


async def test_a_refused_login_is_a_matter_of_the_settings(pool_for: Pools, server_tls: ssl.SSLContext) -> None:
    async with MailServer(tls=server_tls, login=LOGIN) as server:
        with pytest.raises(SendFailed) as caught:
            await pool_for(server.url.replace("canary-password", "wrong-canary")).send(MAIL)
    assert isinstance(caught.value, ChannelUnavailable)
    assert caught.value.status_code == 535
    assert "canary" not in f"{caught.value.detail} {caught.value.response_body}"


async def test_a_login_is_checked_without_a_mail(pool_for: Pools, server_tls: ssl.SSLContext) -> None:
    async with MailServer(tls=server_tls, login=LOGIN) as server:
        await pool_for(server.url).check()
        with pytest.raises(SendFailed, match="the mail server refused the login: 535"):
            await pool_for(server.url.replace("canary-password", "wrong-canary")).check()
        assert (server.connections, server.mails) == (2, [])


async def test_a_break_after_the_message_is_tried_again_with_the_same_message_id(pool_for: Pools) -> None:
    async with MailServer() as server:
        server.data_answers = [None]
        pool = pool_for(server.url)
        with pytest.raises(SendFailed) as caught:
            await pool.send(MAIL)
        assert "may have accepted the message" in caught.value.detail
        assert not caught.value.permanent
        await pool.send(MAIL)
    assert [received.message["Message-ID"] for received in server.mails] == ["<dlv_1@example.com>"] * 2


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def test_a_silent_greeting_ends_at_the_deadline_and_gives_the_place_back(pool_for: Pools) -> None:
    async with raw_receiver(silence) as port, MailServer() as server:
        pool = pool_for(f"smtp://127.0.0.1:{port}", size=1)
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await pool.send(MAIL)
        pool._server = SmtpServer.parse(server.url)
        async with patience():
            await pool.send(MAIL)


async def test_a_cancelled_send_gives_no_half_used_connection_to_the_next(pool_for: Pools) -> None:
    async with MailServer() as server:
        pool = pool_for(server.url, size=1)
        await pool.send(MAIL)
        for turns in range(0, 40, 2):
            task = asyncio.create_task(pool.send(MAIL))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await pool.send(mail(delivery_id=f"dlv_after_{turns}"))
    ids = [received.message["Message-ID"] for received in server.mails]
    for turns in range(0, 40, 2):
        assert f"<dlv_after_{turns}@example.com>" in ids


async def test_a_connection_whose_send_failed_is_closed(pool_for: Pools) -> None:
    async with MailServer() as server:
        pool = pool_for(server.url)
        server.data_answers = ["451 Not now"] * 3
        for _ in range(3):
            with pytest.raises(SendFailed):
                await pool.send(MAIL)
        async with patience():
            while server.open_connections:
                await asyncio.sleep(0.001)
    assert server.connections == 3


async def test_connections_are_few_and_used_again(pool_for: Pools) -> None:
    async with MailServer() as server:
        pool = pool_for(server.url)
        await asyncio.gather(*(pool.send(mail(delivery_id=f"dlv_{n}")) for n in range(40)))
    assert len({received.message["Message-ID"] for received in server.mails}) == 40
    assert server.connections <= 4


async def test_a_connection_is_replaced_after_its_share_of_messages(pool_for: Pools) -> None:
    async with MailServer() as server:
        pool = pool_for(server.url, size=1)
        for _ in range(MAX_MESSAGES + 1):
            await pool.send(MAIL)
    assert server.connections == 2


async def test_a_connection_that_broke_while_idle_costs_no_try(pool_for: Pools) -> None:
    async with MailServer() as server:
        pool = pool_for(server.url, size=1)
        await pool.send(MAIL)
        server.drop_connections()
        await pool.send(MAIL)
    assert (len(server.mails), server.connections) == (2, 2)


async def test_a_connection_on_which_the_server_refuses_the_next_mail_costs_no_try(pool_for: Pools) -> None:
    greeted = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        greeted += 1
        mails = 0
        writer.write(b"220 one mail each\r\n")
        while line := await reader.readline():
            mails += line.startswith(b"MAIL")
            answer = b"421 4.7.0 Too many messages" if mails > 1 else b"354 go" if line == b"DATA\r\n" else b"250 ok"
            writer.write(answer + b"\r\n")
            if answer.startswith(b"354"):
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 ok\r\n")

    async with raw_receiver(talk) as port:
        pool = pool_for(f"smtp://127.0.0.1:{port}", size=1)
        for _ in range(3):
            await pool.send(MAIL)
    assert greeted == 3


async def test_connections_that_fell_silent_cost_one_short_wait_and_no_try(
    pool_for: Pools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("channels.mail.smtp.pool.REUSE_SECONDS", 0.05)
    greeted = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal greeted
        greeted += 1
        silent = greeted <= 3
        writer.write(b"220 ok\r\n")
        while line := await reader.readline():
            writer.write(b"354 go\r\n" if line == b"DATA\r\n" else b"250 ok\r\n")
            if line == b"DATA\r\n":
                await reader.readuntil(b"\r\n.\r\n")
                writer.write(b"250 ok\r\n")
                if silent:
                    await asyncio.Event().wait()

    async with raw_receiver(talk) as port, patience():
        pool = pool_for(f"smtp://127.0.0.1:{port}", size=3)
        await asyncio.gather(*(pool.send(MAIL) for _ in range(3)))
        await pool.send(MAIL)
    assert greeted == 4


@pytest.mark.parametrize(("name", "greeting"), [("", "[127.0.0.1]"), ("relay.example.com", "relay.example.com")])
async def test_the_hub_greets_by_a_name_that_relays_take(
    pool_for: Pools, monkeypatch: pytest.MonkeyPatch, name: str, greeting: str
) -> None:
    monkeypatch.setattr("socket.getfqdn", lambda: "3f2a9c")  # as a container is called
    async with MailServer() as server:
        await pool_for(server.url, name=EhloName(name)).send(MAIL)
    assert server.greetings == [greeting]
