"""The contract of channels: what every channel keeps, proved against a receiver of its own kind."""

import asyncio
import importlib
import inspect
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from pydantic import BaseModel, SecretStr, ValidationError

from channels import load_channels
from channels.base import Channel, ChannelContext, Message, Receipt, SendFailed, TargetModel
from channels.http import open_client
from hub.rendering import Renderer
from hub.testing.messages import MESSAGE
from hub.testing.patience import patience
from hub.testing.receivers import Arrival, Receiver, Reply

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_MANY = 20

_asyncio = pytest.mark.asyncio(loop_scope="function")
_fixture = pytest_asyncio.fixture(loop_scope="function")


class Destination(ABC):
    """What a channel sends to, in the hands of a test."""

    url: str
    """Where it is, as far as it has an address. The default of `ChannelContract.configured` puts it into targets."""

    @abstractmethod
    def arrivals(self) -> int:
        """How many messages have arrived. Messages that were refused count as well, where it sees them."""

    @abstractmethod
    def refuse(self) -> None:
        """From now on refuse every message for a reason that may pass, and repeat to the sender what came, so that a
        secret in it would be seen."""


class HttpDestination(Destination):
    """An HTTP server that accepts everything: a `Receiver` with a script."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.url = receiver.url

    def arrivals(self) -> int:
        return len(self.receiver.requests)

    def refuse(self) -> None:
        self.receiver.script = _repeated


def _repeated(arrival: Arrival) -> Reply:
    return Reply(500, f"{arrival.path} {dict(arrival.headers)} {arrival.body!r}")


def _seen(data: Any) -> dict[str, Any]:
    """An event as templates see it."""
    return {"id": "evt_1", "type": "a.b", "source": "/s", "subject": None, "time": "2026-11-23T12:00:00Z", "data": data}


def secrets_in(value: object) -> Iterator[str]:
    """The secrets of a target, wherever they are in it."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case BaseModel():
            yield from secrets_in(list(dict(value).values()))
        case Mapping():
            yield from secrets_in(list(value.values()))
        case list() | tuple() | set() | frozenset():
            for item in value:
                yield from secrets_in(item)


class ChannelContract:
    """The tests that every channel must pass. The author of a channel writes a subclass.

    Each channel is tried with every example of its target (`json_schema_extra={"examples": […]}`).

    The examples are shown in the documentation of the API too, so they name addresses of the outside world.
    `configured` puts the address of the test's destination into them. Templates in them are rendered for the event of
    `hub.testing.messages.MESSAGE`. Where sending needs more, override the fixtures `destination` (a `Destination`) and
    `options` (the operator's settings, as in `ChannelContext.options`).

    Example:

        from channels.webhook import WebhookChannel

        class TestWebhookChannel(ChannelContract):
            channels = (WebhookChannel,)
    """

    channels: ClassVar[Sequence[type[Channel[Any]]]]
    secrets: ClassVar[Sequence[str]] = ()
    """Parts of the examples that must not be shown, besides each whole `SecretStr`: such as the end of an address."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        samples = [
            pytest.param(channel, example, id=f"{channel.kind}-{n}")
            for channel in self.channels
            for n, example in enumerate(channel.Target.model_json_schema().get("examples", []))
        ]
        if "example" in metafunc.fixturenames:
            metafunc.parametrize(("channel", "example"), samples)
        elif "channel" in metafunc.fixturenames:
            metafunc.parametrize("channel", self.channels, ids=[channel.kind for channel in self.channels])

    def configured(self, example: Mapping[str, Any], destination: Destination) -> dict[str, Any]:
        """A valid target at the destination, made of an example: every HTTP address in it becomes that of the
        destination."""
        text = re.sub(r"https?://[^/\"]+", destination.url, json.dumps(example))
        configured: dict[str, Any] = json.loads(text)
        return configured

    @_fixture
    async def destination(self) -> AsyncIterator[Destination]:
        async with Receiver(lambda _: Reply(200, "{}")) as receiver:
            yield HttpDestination(receiver)

    @pytest.fixture
    def options(self) -> Mapping[str, str]:
        return {}

    @_fixture
    async def context(self, tmp_path: Path, options: Mapping[str, str]) -> AsyncIterator[ChannelContext]:
        async with open_client(LOOPBACK) as client:
            yield ChannelContext(client, tmp_path, options)

    @pytest.fixture
    def target(self, channel: type[Channel[Any]], example: Mapping[str, Any], destination: Destination) -> TargetModel:
        """What is sent to, with the templates in it rendered for `message`."""
        target = channel.Target.model_validate(self.configured(example, destination))
        return Renderer({channel.kind: channel}).target(target, _seen(json.loads(MESSAGE.data)))

    @pytest.fixture
    def message(self, channel: type[Channel[Any]], target: TargetModel) -> Message:
        """`MESSAGE`, with the channel's default template rendered for it and the target."""
        seen = _seen(json.loads(MESSAGE.data))
        content = Renderer({channel.kind: channel}).content(channel.kind, seen, None, target)
        return replace(MESSAGE, content=content)

    @_fixture
    async def sender(self, channel: type[Channel[Any]], context: ChannelContext) -> AsyncIterator[Channel[Any]]:
        """The open channel."""
        sender = channel(context)
        yield sender
        await sender.aclose()

    def test_the_hub_finds_it_by_its_kind(self, channel: type[Channel[Any]]) -> None:
        found = load_channels().get(channel.kind)
        assert found is channel, "its package declares no entry point of hub.channels, or is not installed"

    def test_it_is_named_and_described(self, channel: type[Channel[Any]]) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", channel.kind)
        assert importlib.import_module(channel.__module__).__doc__
        assert inspect.getdoc(channel)
        assert inspect.iscoroutinefunction(channel.send)

    def test_its_target_takes_no_unknown_member_cannot_change_and_has_examples(
        self, channel: type[Channel[Any]]
    ) -> None:
        target = channel.Target
        assert target.model_config.get("extra") == "forbid"
        assert target.model_config.get("frozen") is True
        assert target.model_config.get("hide_input_in_errors") is True
        assert target.model_json_schema().get("examples")
        with pytest.raises(ValidationError):
            target.model_validate({"unknown": 1})

    def test_its_target_shows_no_secret(self, channel: type[Channel[Any]], example: Mapping[str, Any]) -> None:
        target = channel.Target.model_validate(example)
        shown = f"{target!r} {target} {target.model_dump()} {target.model_dump_json()}"
        assert not any(secret in shown for secret in (*self.secrets, *secrets_in(target)))

    def test_what_it_escapes_are_fields_of_its_template(self, channel: type[Channel[Any]]) -> None:
        assert set(channel.escapes) <= set(channel.default_template)
        assert channel.rate_per_second is None or channel.rate_per_second > 0

    @pytest.mark.parametrize("data", [{"a": "<b>&", "n": [1, {"x": None}]}, [1, "a"], "text", 5, None, {}])
    def test_its_default_template_renders_whatever_the_data(self, channel: type[Channel[Any]], data: Any) -> None:
        content = Renderer({channel.kind: channel}).content(channel.kind, _seen(data), None)
        assert set(content) == set(channel.default_template)
        for field, how in channel.escapes.items():
            assert how not in {"html", "mrkdwn"} or "<b>" not in json.dumps(content[field])

    @pytest.mark.parametrize("data", [{"a": '<b>&"\\', "n": [1, {"x": None}]}, [1, "a"], "text", 5, None, {}])
    def test_what_it_renders_for_a_target_can_be_sent(
        self, channel: type[Channel[Any]], example: Mapping[str, Any], data: Any
    ) -> None:
        target = channel.Target.model_validate(example)
        templates = channel.templates_for(target)
        content = Renderer({channel.kind: channel}).content(channel.kind, _seen(data), None, target)
        assert set(content) == (set(channel.default_template) if templates else set())
        assert templates is None or set(templates.escapes) <= set(channel.default_template)
        if templates is not None:
            channel.check_content(content, target)

    @_asyncio
    async def test_with_its_settings_it_can_send(self, sender: Channel[Any], target: TargetModel) -> None:
        assert sender.unavailable(target) is None

    @_asyncio
    async def test_its_host_is_the_same_for_the_same_target_and_shows_no_secret(
        self, sender: Channel[Any], target: TargetModel
    ) -> None:
        host = sender.host(target)
        assert host
        assert sender.host(target) == host
        assert not any(secret in host for secret in (*self.secrets, *secrets_in(target)))

    @_asyncio
    async def test_a_send_is_one_arrival_and_a_receipt(
        self, sender: Channel[Any], message: Message, target: TargetModel, destination: Destination
    ) -> None:
        assert isinstance(await sender.send(message, target), Receipt)
        assert destination.arrivals() == 1

    @_asyncio
    async def test_a_test_is_sent_as_any_message(
        self, sender: Channel[Any], message: Message, target: TargetModel, destination: Destination
    ) -> None:
        assert isinstance(await sender.send(replace(message, test=True), target), Receipt)
        assert destination.arrivals() == 1

    @_asyncio
    async def test_a_refused_send_is_one_try_and_its_error_has_no_secret(
        self, sender: Channel[Any], message: Message, target: TargetModel, destination: Destination
    ) -> None:
        destination.refuse()
        with pytest.raises(SendFailed) as caught:
            await sender.send(message, target)
        assert destination.arrivals() <= 1
        assert not caught.value.permanent
        assert caught.value.detail
        shown = f"{caught.value.detail} {caught.value!r} {caught.value.response_body}"
        assert not any(secret in shown for secret in (*self.secrets, *secrets_in(target)))

    @_asyncio
    async def test_a_send_that_is_cancelled_at_any_moment_hinders_no_later_one(
        self, sender: Channel[Any], message: Message, target: TargetModel
    ) -> None:
        for turns in range(0, 30, 3):
            task = asyncio.create_task(sender.send(message, target))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with patience():
            await sender.send(message, target)

    @_asyncio
    async def test_many_sends_at_once_all_arrive(
        self, sender: Channel[Any], message: Message, target: TargetModel, destination: Destination
    ) -> None:
        await asyncio.gather(*(sender.send(message, target) for _ in range(_MANY)))
        assert destination.arrivals() == _MANY

    @_asyncio
    async def test_it_leaves_the_message_and_the_target_as_they_were(
        self, sender: Channel[Any], message: Message, target: TargetModel
    ) -> None:
        before = (target.model_dump_json(), json.dumps(dict(message.content)))
        await sender.send(message, target)
        assert (target.model_dump_json(), json.dumps(dict(message.content))) == before
