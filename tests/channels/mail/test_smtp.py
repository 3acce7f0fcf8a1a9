"""Real SMTP servers, polite and otherwise; drill F40."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme

from channels.base import SendFailed
from channels.mail import Mailbox, SmtpPool, SmtpServer
from channels.mail.smtp import MAX_MESSAGES
from hub.testing.patience import patience
from hub.testing.receivers import raw_receiver
from tests.channels.mail.mails import MAIL, mail
from tests.smtp import MailServer

LOGIN = ("hub", "canary-password")


@pytest.fixture
async def pool_for(client_tls: ssl.SSLContext) -> AsyncIterator[Callable[..., SmtpPool]]:
    opened: list[SmtpPool] = []

    def make(url: str, tls: ssl.SSLContext = client_tls, *, size: int = 4) -> SmtpPool:
        opened.append(SmtpPool(SmtpServer.parse(url), tls, size=size))
        return opened[-1]

    yield make
    for pool in opened:
        await pool.aclose()


Pools = Callable[..., SmtpPool]


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
    assert not caught.value.permanent
    assert plain.mails == []


async def test_a_refused_login_is_not_permanent(pool_for: Pools, server_tls: ssl.SSLContext) -> None:
    async with MailServer(tls=server_tls, login=LOGIN) as server:
        with pytest.raises(SendFailed) as caught:
            await pool_for(server.url.replace("canary-password", "wrong-canary")).send(MAIL)
    assert (caught.value.status_code, caught.value.permanent) == (535, False)
    assert "canary" not in f"{caught.value.detail} {caught.value.response_body}"


async def test_a_login_is_checked_without_a_mail(pool_for: Pools, server_tls: ssl.SSLContext) -> None:
    async with MailServer(tls=server_tls, login=LOGIN) as server:
        await pool_for(server.url).check()
        with pytest.raises(SendFailed, match="the mail server refused the login: 535"):
            await pool_for(server.url.replace("canary-password", "wrong-canary")).check()
        assert (server.connections, server.mails) == (2, [])


@pytest.mark.parametrize(
    ("answer", "permanent"),
    [
        ("451 4.7.1 Greylisted", False),
        ("421 4.3.2 Shutting down", False),
        ("550 5.7.1 Spam", True),
        ("530 5.7.0 Log in first", False),
    ],
)
async def test_an_answer_to_the_message_is_final_with_5xx_only(pool_for: Pools, answer: str, permanent: bool) -> None:
    async with MailServer() as server:
        server.data_answers = [answer]
        with pytest.raises(SendFailed) as caught:
            await pool_for(server.url).send(MAIL)
    assert (caught.value.permanent, caught.value.status_code) == (permanent, int(answer[:3]))
    assert caught.value.response_body == answer[4:]


@pytest.mark.parametrize(("code", "permanent"), [(450, False), (550, True)])
async def test_when_every_recipient_is_refused_nothing_is_sent(pool_for: Pools, code: int, permanent: bool) -> None:
    async with MailServer() as server:
        server.refusals = dict.fromkeys(MAIL.recipients, f"{code} No")
        with pytest.raises(SendFailed) as caught:
            await pool_for(server.url).send(MAIL)
    assert caught.value.permanent == permanent
    assert server.mails == []


async def test_one_refused_for_good_does_not_keep_it_from_the_others(pool_for: Pools) -> None:
    async with MailServer() as server:
        server.refusals = {"cc@example.com": "550 5.1.1 No such user"}
        receipt = await pool_for(server.url).send(MAIL)
    assert server.mails[0].recipients == ("ann@example.com", "bcc@example.com")
    assert receipt.response_body is not None
    assert "refused cc@example.com: 550 5.1.1 No such user" in receipt.response_body


async def test_one_refused_for_now_lets_everybody_wait_and_the_next_try_reaches_all(pool_for: Pools) -> None:
    async with MailServer() as server:
        pool = pool_for(server.url)
        server.refusals = {"cc@example.com": "451 4.7.1 Greylisted"}
        with pytest.raises(SendFailed) as caught:
            await pool.send(MAIL)
        assert not caught.value.permanent
        assert server.mails == []
        server.refusals = {}
        await pool.send(MAIL)
    assert server.mails[0].recipients == MAIL.recipients


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


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def busy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"421 4.3.2 Too busy\r\n")
    await writer.drain()


async def no_smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    await writer.drain()


@pytest.mark.parametrize("talk", [hang_up, busy, no_smtp])
async def test_a_server_that_does_not_greet_is_a_failure_that_may_pass(
    pool_for: Pools, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
) -> None:
    async with raw_receiver(talk) as port:
        with pytest.raises(SendFailed) as caught:
            await pool_for(f"smtp://127.0.0.1:{port}").send(MAIL)
    assert not caught.value.permanent


async def test_a_port_without_a_server_is_a_failure_that_may_pass(pool_for: Pools) -> None:
    async with raw_receiver(hang_up) as port:
        pass
    with pytest.raises(SendFailed, match="no connection"):
        await pool_for(f"smtp://127.0.0.1:{port}").send(MAIL)


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


async def test_an_address_beyond_ascii_is_handed_in_with_smtputf8(pool_for: Pools) -> None:
    async with MailServer() as server:
        await pool_for(server.url).send(mail(to=(Mailbox("", "jürgen@example.com"),)))
    assert server.mails[0].recipients[0] == "jürgen@example.com"


async def test_lines_that_begin_with_a_dot_arrive_whole(pool_for: Pools) -> None:
    async with MailServer() as server:
        await pool_for(server.url).send(mail(text=".\n..\n.end", html=""))
    assert server.mails[0].message.get_content().split() == [".", "..", ".end"]


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://relay.example", SmtpServer("relay.example", 25, "none")),
        ("smtp://relay.example:2525/", SmtpServer("relay.example", 2525, "none")),
        ("smtp+starttls://relay.example", SmtpServer("relay.example", 587, "starttls")),
        ("smtps://u%40x:p%2Fw@relay.example", SmtpServer("relay.example", 465, "tls", "u@x", "p/w")),
        ("smtp://u:p@127.0.0.1", SmtpServer("127.0.0.1", 25, "none", "u", "p")),
        ("smtp://u:p@[::1]:25", SmtpServer("::1", 25, "none", "u", "p")),
    ],
)
def test_the_url_says_where_and_how(url: str, server: SmtpServer) -> None:
    assert SmtpServer.parse(url) == server
    assert "p/w" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        *("", "relay.example", "http://relay.example", "smtp://", "smtp://relay.example:99999", "smtp://a:b:c"),
        *("smtp://user:canary@relay.example", "smtps://relay.example/path", "smtps://relay.example?canary=1"),
    ],
)
def test_a_url_that_is_wrong_or_would_show_the_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="HUB_SMTP_URL") as caught:
        SmtpServer.parse(url)
    assert "canary" not in str(caught.value)
