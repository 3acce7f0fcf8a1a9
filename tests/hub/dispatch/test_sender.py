"""A message is composed of its event, sent once, and every failure is a result; whatever a channel does."""

import asyncio
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest
from structlog.testing import capture_logs

from channels.base import ChannelUnavailable, Message, Receipt, SendFailed, TargetModel
from hub.compute import ComputePool
from hub.dispatch.sender import Sender
from hub.rendering import Renderer
from hub.telemetry.tracing import Tracing
from hub.testing.patience import PATIENCE_SECONDS, patience
from tests.hub.dispatch.parts import Behaviour, Parts, ScriptedChannel

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class TemplatedChannel(ScriptedChannel):
    default_template: ClassVar[Mapping[str, Any]] = {
        "text": "{{ type }}: {{ data.total }}",
        "odd": "{{ data.total | divided_by: data.zero }}",
    }


async def sent(
    parts: Parts, behaviour: Behaviour, *, channel: type[ScriptedChannel] = ScriptedChannel, seconds: float = 40.0,
    template: dict[str, Any] | None = None, sandbox: bool = False, **event: Any,
) -> Receipt | SendFailed:  # fmt: skip
    renderer = Renderer({"scripted": channel})
    sender = Sender({"scripted": channel(behaviour)}, renderer, Tracing(""), ComputePool(), sandbox=sandbox)
    subscription = await parts.subscribe()
    object.__setattr__(subscription, "spec", subscription.spec.model_copy(update={"template": template}))
    claim = await parts.claim(subscription.id, **event)
    return await sender.send(claim.event, claim.delivery, subscription, at=parts.clock.now(), seconds=seconds)


def raising(error: Exception) -> Behaviour:
    async def behave(message: Message) -> Receipt:
        raise error

    return behave


async def test_a_message_has_what_its_event_and_delivery_have(parts: Parts) -> None:
    messages: list[Message] = []

    async def keep(message: Message) -> Receipt:
        messages.append(message)
        return Receipt(204, "thanks")

    data = b'{ "total": "12.00" }'
    received = await sent(
        parts, keep, data=data, subject="orders/1", extensions={"priority": "high"}, traceparent=TRACE
    )
    assert received == Receipt(204, "thanks")
    (message,) = messages
    assert (message.data, message.subject, message.extensions) == (data, "orders/1", {"priority": "high"})
    assert (message.attempt, message.sent_at, message.traceparent) == (1, parts.clock.now(), TRACE)
    assert message.content == {}


async def test_a_channel_with_a_template_is_given_what_it_renders(parts: Parts) -> None:
    contents: list[Any] = []

    async def keep(message: Message) -> Receipt:
        contents.append(message.content)
        return Receipt()

    await sent(parts, keep, channel=TemplatedChannel, template={"odd": "even"}, data=b'{"total": "12.00"}')
    assert contents == [{"text": "order.created: 12.00", "odd": "even"}]


async def test_in_a_sandbox_everything_is_done_but_sending(parts: Parts) -> None:
    never = raising(AssertionError("sent"))
    assert await sent(parts, never, sandbox=True) == Receipt(None, "sandbox: not sent")
    failed = await sent(parts, never, channel=TemplatedChannel, sandbox=True, data=b'{"total": 1, "zero": 0}')
    assert isinstance(failed, SendFailed)
    assert failed.permanent


async def test_a_channel_that_can_send_nothing_is_not_asked_to(parts: Parts) -> None:
    class Missing(ScriptedChannel):
        def unavailable(self, target: TargetModel) -> str | None:
            return "HUB_SCRIPTED_KEY is not set"

    never = raising(AssertionError("sent"))
    failed = await sent(parts, never, channel=Missing)
    assert isinstance(failed, ChannelUnavailable)
    assert failed.detail == "HUB_SCRIPTED_KEY is not set"
    assert await sent(parts, never, channel=Missing, sandbox=True) == Receipt(None, "sandbox: not sent")


async def test_a_template_that_cannot_be_rendered_is_a_failure_for_good_and_nothing_is_sent(parts: Parts) -> None:
    failed = await sent(
        parts, raising(AssertionError("sent")), channel=TemplatedChannel, data=b'{"total": 1, "zero": 0}'
    )
    assert isinstance(failed, SendFailed)
    assert (failed.permanent, failed.detail.startswith("the template cannot be rendered: odd")) == (True, True)


async def test_a_failure_of_the_channel_is_passed_on_as_it_is(parts: Parts) -> None:
    failure = SendFailed("HTTP 429", retry_after=7.0, status_code=429)
    assert await sent(parts, raising(failure)) is failure


async def test_a_channel_that_takes_too_long_is_left(parts: Parts) -> None:
    async def hang(message: Message) -> Receipt:
        await asyncio.sleep(2 * PATIENCE_SECONDS)
        return Receipt()

    async with patience():
        failed = await sent(parts, hang, seconds=0.01)
    assert isinstance(failed, SendFailed)
    assert (failed.detail, failed.permanent) == ("no answer within 0.01 s", False)


async def test_a_channel_that_raises_anything_is_a_failure_whose_text_is_for_the_log_alone(parts: Parts) -> None:
    with capture_logs() as lines:
        failed = await sent(parts, raising(KeyError("s3cret")))
    assert isinstance(failed, SendFailed)
    assert (failed.detail, failed.permanent) == ("the channel scripted failed: KeyError", False)
    assert [line["event"] for line in lines] == ["channel.crashed"]


async def test_who_cancels_an_attempt_is_not_given_a_result(parts: Parts) -> None:
    sending = asyncio.Event()

    async def hang(message: Message) -> Receipt:
        sending.set()
        await asyncio.Event().wait()
        return Receipt()

    attempt = asyncio.create_task(sent(parts, hang))
    await sending.wait()
    attempt.cancel()
    with pytest.raises(asyncio.CancelledError):
        await attempt
