"""What may pass, and what is final."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from channels.base import SendFailed
from channels.mail.smtp.failures import is_permanent
from hub.testing.receivers import raw_receiver
from tests.channels.mail.mails import MAIL
from tests.channels.mail.smtp.conftest import Pools
from tests.smtp import MailServer


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


async def test_a_name_that_does_not_resolve_is_a_failure_that_says_so(pool_for: Pools) -> None:
    with pytest.raises(SendFailed, match="HUB_SMTP_URL: the host's name does not resolve") as caught:
        await pool_for("smtp://no-such-host.invalid").send(MAIL)
    assert not caught.value.permanent


@pytest.mark.parametrize(
    ("code", "permanent"),
    [(250, False), (450, False), (500, True), (535, False), (552, False), (554, True), (-1, False)],
)
def test_only_5xx_is_final_and_not_what_an_operator_can_mend(code: int, permanent: bool) -> None:
    assert is_permanent(code) is permanent
