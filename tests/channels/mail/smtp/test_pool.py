"""Real SMTP servers, polite and otherwise; drill F40."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import trustme

from channels.base import SendFailed
from channels.mail import EhloName, Mailbox, Progress, SmtpPool, SmtpServer
from channels.mail.smtp.pool import MAX_MESSAGES
from hub.testing.patience import patience
from hub.testing.receivers import raw_receiver
from tests.channels.mail.mails import MAIL, mail
from tests.smtp import MailServer

LOGIN = ("hub", "canary-password")


@pytest.fixture
async def pool_for(client_tls: ssl.SSLContext) -> AsyncIterator[Callable[..., SmtpPool]]:
    opened: list[SmtpPool] = []

    def make(url: str, tls: ssl.SSLContext = client_tls, **more: Any) -> SmtpPool:
        opened.append(SmtpPool(SmtpServer.parse(url), tls, **more))
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


async def attempted(pool: SmtpPool, progress: str | None = None) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        await pool.send(mail(progress=Progress.read(progress)))
    return caught.value


async def test_one_deferred_keeps_it_from_nobody_and_is_tried_again_alone(pool_for: Pools) -> None:
    async with MailServer() as server:
        pool = pool_for(server.url)
        server.refusals = {"cc@example.com": "452 4.2.2 Mailbox full"}
        first = await attempted(pool)
        second = await attempted(pool, first.checkpoint)
        server.refusals = {}
        receipt = await pool.send(mail(progress=Progress.read(second.checkpoint)))
    assert (first.permanent, first.status_code) == (False, 452)
    assert first.detail == "1 of 3 recipients did not get the mail: cc@example.com (452 4.2.2 Mailbox full)"
    assert [mail.recipients for mail in server.mails] == [("ann@example.com", "bcc@example.com"), ("cc@example.com",)]
    assert [mail.message["Cc"] for mail in server.mails] == ["cc@example.com"] * 2
    assert (receipt.status_code, server.connections) == (250, 1)


async def test_one_refused_for_good_is_named_when_all_others_have_it(pool_for: Pools) -> None:
    async with MailServer() as server:
        pool = pool_for(server.url)
        server.refusals = {"cc@example.com": "550 5.1.1 No such user", "bcc@example.com": "450 4.2.1 Later"}
        first = await attempted(pool)
        server.refusals = {"cc@example.com": "550 5.1.1 No such user"}
        second = await attempted(pool, first.checkpoint)
        replayed = await attempted(pool, second.checkpoint)
        server.refusals = {}
        await pool.send(mail(progress=Progress.read(replayed.checkpoint)))
    assert (first.permanent, second.permanent, replayed.permanent) == (False, True, True)
    assert "cc@example.com (550 5.1.1 No such user)" in first.detail
    assert second.detail == "1 of 3 recipients did not get the mail: cc@example.com (550 5.1.1 No such user)"
    assert [mail.recipients for mail in server.mails] == [
        ("ann@example.com",),
        ("bcc@example.com",),
        ("cc@example.com",),
    ]


async def test_who_is_in_bcc_is_not_named_in_full(pool_for: Pools) -> None:
    async with MailServer() as server:
        server.refusals = {"bcc@example.com": "550 5.1.1 <bcc@example.com> unknown"}
        failed = await attempted(pool_for(server.url))
    assert failed.detail.endswith("did not get the mail: b…@example.com (550 5.1.1 <b…@example.com> unknown)")


@pytest.mark.parametrize(("answer", "permanent"), [("451 4.3.0 Later", False), ("554 5.7.1 Spam", True)])
async def test_an_answer_to_the_message_is_for_those_who_were_named(
    pool_for: Pools, answer: str, permanent: bool
) -> None:
    async with MailServer() as server:
        pool = pool_for(server.url)
        server.refusals = {"cc@example.com": "550 5.1.1 No such user"}
        server.data_answers = [answer]
        failed = await attempted(pool)
        assert (failed.permanent, server.mails) == (permanent, [])
        await attempted(pool, failed.checkpoint)
    assert server.mails[0].recipients == ("ann@example.com", "bcc@example.com")


@pytest.mark.parametrize("answer", ["552 5.5.3 Too many recipients", "530 5.7.0 Log in first"])
async def test_what_an_operator_or_the_next_mail_can_mend_is_not_final(pool_for: Pools, answer: str) -> None:
    async with MailServer() as server:
        server.refusals = {"cc@example.com": answer}
        assert not (await attempted(pool_for(server.url))).permanent
    assert server.mails[0].recipients == ("ann@example.com", "bcc@example.com")


async def test_a_server_that_hangs_up_on_a_recipient_has_judged_nobody(pool_for: Pools) -> None:
    async with MailServer() as server:
        server.refusals = {"cc@example.com": "421 4.3.2 Shutting down"}
        failed = await attempted(pool_for(server.url))
    assert (failed.permanent, failed.checkpoint, server.mails) == (False, None, [])


async def test_an_answer_that_is_not_utf_8_is_text_all_the_same(pool_for: Pools) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 old\r\n")
        while line := await reader.readline():
            writer.write(b"550 gel\xf6scht\r\n" if line.startswith(b"RCPT") else b"250 ok\r\n")

    async with raw_receiver(talk) as port:
        failed = await attempted(pool_for(f"smtp://127.0.0.1:{port}"))
    assert failed.response_body == "gel?scht"
    assert failed.detail == "the mail server refused the message: 550 gel?scht"


@pytest.mark.parametrize("answer", ["251 2.0.0 Forwarded", "200 Taken"])
async def test_any_2xx_takes_the_message(pool_for: Pools, answer: str) -> None:
    async with MailServer() as server:
        server.data_answers = [answer]
        receipt = await pool_for(server.url).send(MAIL)
    assert receipt.status_code == int(answer[:3])


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


async def test_an_address_beyond_ascii_is_handed_in_with_smtputf8(pool_for: Pools) -> None:
    async with MailServer() as server:
        await pool_for(server.url).send(mail(to=(Mailbox("", "jürgen@example.com"),)))
    assert server.mails[0].recipients[0] == "jürgen@example.com"


async def test_without_smtputf8_those_who_need_it_are_named_and_the_others_get_it(pool_for: Pools) -> None:
    both = (Mailbox("", "ann@example.com"), Mailbox("", "jürgen@example.com"))
    async with MailServer(smtputf8=False) as server:
        pool = pool_for(server.url)
        with pytest.raises(SendFailed) as some:
            await pool.send(mail(to=both))
        with pytest.raises(SendFailed) as nobody:
            await pool.send(mail(reply_to=both[1]))
    assert (some.value.permanent, nobody.value.permanent) == (True, True)
    assert "1 of 4 recipients did not get the mail: jürgen@example.com" in some.value.detail
    assert "does not support addresses that are not ASCII" in nobody.value.detail
    (received,) = server.mails
    assert received.recipients == ("ann@example.com", "cc@example.com", "bcc@example.com")
    assert received.message["To"] == "ann@example.com"


@pytest.mark.parametrize("address", ['"ann smith"@example.com', "ann@[192.0.2.1]", "root@localhost"])
async def test_addresses_of_every_form_are_for_the_server_to_judge(pool_for: Pools, address: str) -> None:
    async with MailServer() as server:
        await pool_for(server.url).send(mail(to=(Mailbox("", address),)))
    assert server.mails[0].recipients[0] == address


async def test_lines_that_begin_with_a_dot_arrive_whole(pool_for: Pools) -> None:
    async with MailServer() as server:
        await pool_for(server.url).send(mail(text=".\n..\n.end", html=""))
    assert server.mails[0].message.get_content().split() == [".", "..", ".end"]
