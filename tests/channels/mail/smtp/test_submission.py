"""Who gets a mail, and who is named as not having it."""

import asyncio

import pytest

from channels.base import SendFailed
from channels.mail import Mailbox, Progress, SmtpPool
from hub.testing.receivers import raw_receiver
from tests.channels.mail.mails import MAIL, mail
from tests.channels.mail.smtp.conftest import Pools
from tests.smtp import MailServer


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


async def test_many_with_the_same_answer_are_named_together_and_one_by_one_in_the_answer(pool_for: Pools) -> None:
    many = tuple(Mailbox("", f"p{n}@example.com") for n in range(30))
    async with MailServer() as server:
        server.refusals = {box.address: "452 4.2.2 Mailbox full" for box in many[1:]}
        with pytest.raises(SendFailed) as caught:
            await pool_for(server.url).send(mail(to=many))
    assert caught.value.detail.startswith("29 of 32 recipients did not get the mail: p1@example.com, p2@example.com, ")
    assert len(caught.value.detail) < 1_000
    assert caught.value.response_body is not None
    assert caught.value.response_body.splitlines()[-1] == "p29@example.com: 452 4.2.2 Mailbox full"


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
            writer.write(b"550 \x1b[1mgel\xf6scht\r\n" if line.startswith(b"RCPT") else b"250 ok\r\n")

    async with raw_receiver(talk) as port:
        failed = await attempted(pool_for(f"smtp://127.0.0.1:{port}"))
    assert failed.response_body == "\x1b[1mgel?scht"
    assert failed.detail == "the mail server refused the message: 550 [1mgelscht"


@pytest.mark.parametrize("answer", ["251 2.0.0 Forwarded", "200 Taken"])
async def test_any_2xx_takes_the_message(pool_for: Pools, answer: str) -> None:
    async with MailServer() as server:
        server.data_answers = [answer]
        receipt = await pool_for(server.url).send(MAIL)
    assert receipt.status_code == int(answer[:3])


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
