"""Who gets a mail through a provider's API, and who is named as not having it."""

import asyncio

import httpx
import pytest

from channels.base import ChannelUnavailable, SendFailed
from channels.mail import Mail, Mailbox, Progress, Provider, open_provider
from channels.mail.providers import PROVIDERS
from channels.mail.providers.provider import MAX_REQUESTS
from hub.testing.receivers import Arrival, Receiver, Reply
from tests.channels.mail.mails import mail
from tests.channels.mail.providers.test_requests import OPTIONS

NAMES = ("ann", "bob", "eve", "joe")
STATUSES = {"resend": 422, "postmark": 422, "sendgrid": 400, "mailgun": 400, "ses": 400}


def provider(name: str, http: httpx.AsyncClient, receiver: Receiver) -> Provider:
    return open_provider(name, http, OPTIONS | {f"{name}_api_url": receiver.url})


def to_all(checkpoint: str | None = None, names: tuple[str, ...] = NAMES) -> Mail:
    boxes = tuple(Mailbox("", f"{name}@shop.example") for name in names)
    return mail(to=boxes[:-1], cc=(), bcc=boxes[-1:], reply_to=None, progress=Progress.read(checkpoint))


def named(arrival: Arrival) -> tuple[str, ...]:
    """Who is in a request of any provider. SES has the message, which names them too, in base64."""
    return tuple(name for name in NAMES if name.encode() in arrival.body)


class Judge:
    """Answers as a provider that sends a mail to all of its recipients, or to none."""

    def __init__(self, **statuses: int) -> None:
        self.statuses = statuses
        self.reached: list[str] = []

    def __call__(self, arrival: Arrival) -> Reply:
        for name in named(arrival):
            if name in self.statuses:
                return Reply(self.statuses[name], f'{{"message":"not to {name}@shop.example"}}')
        self.reached.extend(named(arrival))
        return Reply(200, "taken")


async def attempted(sender: Provider, checkpoint: str | None = None) -> SendFailed:
    with pytest.raises(SendFailed) as caught:
        await sender.send(to_all(checkpoint))
    return caught.value


@pytest.mark.parametrize("name", PROVIDERS)
async def test_one_who_is_refused_keeps_the_mail_from_nobody(http: httpx.AsyncClient, name: str) -> None:
    judge = Judge(bob=STATUSES[name])
    async with Receiver(judge) as receiver:
        sender = provider(name, http, receiver)
        failed = await attempted(sender)
        assert named(receiver.requests[0]) == NAMES
        assert sorted(named(arrival) for arrival in receiver.requests[1:]) == [(one,) for one in NAMES]
        replayed = await attempted(sender, failed.checkpoint)
        judge.statuses = {}
        receipt = await sender.send(to_all(replayed.checkpoint))
    assert sorted(judge.reached) == ["ann", "bob", "eve", "joe"]
    assert (failed.permanent, replayed.permanent) == (True, True)
    assert failed.status_code == STATUSES[name]
    assert failed.detail.startswith(f"1 of 4 recipients did not get the mail: bob@shop.example ({STATUSES[name]} ")
    assert "not to bob@shop.example" in failed.detail
    assert receipt.response_body == "taken"


async def test_who_is_deferred_is_tried_again_alone_with_the_same_key(http: httpx.AsyncClient) -> None:
    judge = Judge(bob=422, eve=500)
    async with Receiver(judge) as receiver:
        sender = provider("resend", http, receiver)
        first = await attempted(sender)
        judge.statuses = {}
        second = await attempted(sender, first.checkpoint)
    assert (first.permanent, second.permanent) == (False, True)
    assert first.detail.startswith("2 of 4 recipients did not get the mail: bob@shop.example (422 ")
    assert "eve@shop.example (500 " in first.detail
    assert second.detail.startswith("1 of 4 recipients did not get the mail: bob@shop.example (422 ")
    assert sorted(judge.reached) == ["ann", "eve", "joe"]
    *_, last = receiver.requests
    keys = {named(arrival): arrival.headers["Idempotency-Key"] for arrival in receiver.requests}
    assert len(set(keys.values())) == 5
    assert keys["eve",] == last.headers["Idempotency-Key"]


@pytest.mark.parametrize("status", [429, 401])
async def test_what_is_about_no_recipient_ends_the_requests_and_keeps_who_was_taken(
    http: httpx.AsyncClient, status: int
) -> None:
    many = tuple(Mailbox("", f"p{n}@shop.example") for n in range(20))
    taken = b"p0@"

    def few(arrival: Arrival) -> Reply:
        if b"p1@" in arrival.body and taken in arrival.body:
            return Reply(400)
        return Reply(200) if taken in arrival.body else Reply(status, headers={"Retry-After": "9"})

    async with Receiver(few) as receiver:
        with pytest.raises(SendFailed) as caught:
            await provider("sendgrid", http, receiver).send(mail(to=many, cc=(), bcc=()))
    assert len(receiver.requests) <= 6
    assert not isinstance(caught.value, ChannelUnavailable)
    assert (caught.value.permanent, caught.value.status_code) == (False, status)
    assert caught.value.retry_after == (9.0 if status == 429 else None)
    assert Progress.read(caught.value.checkpoint) == Progress(frozenset({"p0@shop.example"}))


async def test_when_everybody_is_refused_for_one_reason_it_is_the_mail(http: httpx.AsyncClient) -> None:
    async with Receiver(lambda _: Reply(400, "no subject")) as receiver:
        failed = await attempted(provider("mailgun", http, receiver))
    assert (failed.detail, failed.permanent, failed.checkpoint) == ("mailgun answered 400 Bad Request", True, None)
    assert failed.response_body == "no subject"


@pytest.mark.parametrize("status", [413, 500])
async def test_an_answer_that_is_not_about_recipients_is_for_all(http: httpx.AsyncClient, status: int) -> None:
    async with Receiver(lambda _: status) as receiver:
        failed = await attempted(provider("mailgun", http, receiver))
    assert (len(receiver.requests), failed.checkpoint) == (1, None)


async def test_who_was_taken_when_the_time_is_up_is_kept(http: httpx.AsyncClient) -> None:
    # When a request is under way for each of the last, the answers about those before them have been read.
    silent = tuple(Mailbox("", f"silent{n}@shop.example") for n in range(MAX_REQUESTS))
    judge, end = Judge(bob=400), asyncio.Event()

    async def answer(arrival: Arrival) -> Reply:
        if b"silent" in arrival.body and not named(arrival):
            await end.wait()
        return judge(arrival)

    async with Receiver(answer) as receiver:
        whole = mail(to=(*to_all().to, *silent), cc=(), bcc=())
        sending = asyncio.create_task(provider("sendgrid", http, receiver).send(whole))
        await receiver.arrived(1 + len(whole.recipients))
        sending.cancel()
        with pytest.raises(SendFailed) as caught:
            await sending
        end.set()
    assert not caught.value.permanent
    assert "silent0@shop.example, silent1@shop.example" in caught.value.detail
    assert "(no answer in time)" in caught.value.detail
    progress = Progress.read(caught.value.checkpoint)
    assert progress.taken == {"ann@shop.example", "eve@shop.example"}
    assert list(progress.refused) == ["bob@shop.example"]


async def test_who_is_in_bcc_is_not_named_in_full(http: httpx.AsyncClient) -> None:
    async with Receiver(Judge(joe=422)) as receiver:
        failed = await attempted(provider("resend", http, receiver))
    assert "j…@shop.example (422 " in failed.detail
    assert "joe@" not in f"{failed.detail}{failed.response_body}"


async def test_those_whom_postmark_leaves_out_of_a_mail_that_it_took_are_named(http: httpx.AsyncClient) -> None:
    said = "Message OK, but will not deliver to these inactive addresses: bob@shop.example, JOE@shop.example."
    async with Receiver([Reply(200, f'{{"ErrorCode":0,"Message":"{said}"}}')]) as receiver:
        failed = await attempted(provider("postmark", http, receiver))
    assert len(receiver.requests) == 1
    assert failed.permanent
    assert failed.detail == (
        "2 of 4 recipients did not get the mail: bob@shop.example, j…@shop.example (Postmark has it as inactive)"
    )
