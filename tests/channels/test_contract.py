"""What every channel keeps, also one whose author has written no test: it is held against a receiver of its own kind.

A channel is tried with the examples of its target (`json_schema_extra={"examples": [...]}`), which stand in the API's
documentation too. Addresses of the outside world in them are replaced by servers on loopback.
"""

import asyncio
import importlib
import inspect
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from channels import load_channels
from channels.base import Channel, ChannelContext, Receipt, SendFailed, TargetModel
from hub.rendering import Renderer
from hub.testing.messages import MESSAGE
from hub.testing.patience import patience
from hub.testing.receivers import Arrival, Receiver, Reply
from tests.smtp import MailServer

CHANNELS = load_channels()
SAMPLES = [
    pytest.param(kind, example, id=f"{kind}-{n}")
    for kind, channel in CHANNELS.items()
    for n, example in enumerate(channel.Target.model_json_schema().get("examples", []))
]
SECRETS = ("XXXX", "canary")


@dataclass(slots=True)
class World:
    """Everything a channel may send to, in one place."""

    receiver: Receiver
    mail: MailServer
    context: ChannelContext

    def target(self, channel: type[Channel[Any]], example: dict[str, Any]) -> TargetModel:
        text = json.dumps(example)
        text = re.sub(r"https?://[^/\"]+", self.receiver.url, text)
        text = text.replace("{{ data.customer.email }}", "ann@example.com")
        return channel.Target.model_validate(json.loads(text))

    def arrivals(self) -> int:
        files = self.context.data_dir.glob("files/*/*")
        return len(self.receiver.requests) + len(self.mail.mails) + sum(len(f.read_bytes().splitlines()) for f in files)


@pytest.fixture
async def world(http: httpx.AsyncClient, tmp_path: Path) -> AsyncIterator[World]:
    def agree(arrival: Arrival) -> Reply:
        return Reply(200, '{"ok":true}' if "api" in arrival.path else "ok")

    async with Receiver(agree) as receiver, MailServer() as mail:
        options = {"smtp_url": mail.url, "email_from": "hub@example.com", "slack_api_url": receiver.url + "/api"}
        yield World(receiver, mail, ChannelContext(http, tmp_path, options))


@asynccontextmanager
async def opened(channel: type[Channel[Any]], context: ChannelContext) -> AsyncIterator[Channel[Any]]:
    instance = channel(context)
    try:
        yield instance
    finally:
        await instance.aclose()


@pytest.mark.parametrize("kind", CHANNELS)
def test_it_is_named_for_its_module_and_described(kind: str) -> None:
    channel = CHANNELS[kind]
    assert channel.kind == kind
    assert re.fullmatch(r"[a-z][a-z0-9_]*", kind)
    assert importlib.import_module(channel.__module__).__doc__
    assert inspect.getdoc(channel)
    assert inspect.iscoroutinefunction(channel.send)


@pytest.mark.parametrize("kind", CHANNELS)
def test_its_target_takes_no_unknown_member_cannot_change_and_has_examples(kind: str) -> None:
    target = CHANNELS[kind].Target
    assert target.model_config.get("extra") == "forbid"
    assert target.model_config.get("frozen") is True
    assert target.model_config.get("hide_input_in_errors") is True
    assert target.model_json_schema().get("examples")
    with pytest.raises(ValidationError):
        target.model_validate({"unknown": 1})


@pytest.mark.parametrize(("kind", "example"), SAMPLES)
def test_its_target_shows_no_secret(kind: str, example: dict[str, Any]) -> None:
    target = CHANNELS[kind].Target.model_validate(example)
    shown = f"{target!r} {target} {target.model_dump()} {target.model_dump_json()}"
    assert not any(secret in shown for secret in SECRETS)
    for value in target.model_dump().values():
        if isinstance(value, SecretStr):
            assert value.get_secret_value() not in shown


@pytest.mark.parametrize("kind", CHANNELS)
def test_what_it_escapes_are_fields_of_its_template(kind: str) -> None:
    channel = CHANNELS[kind]
    assert set(channel.escapes) <= set(channel.default_template)
    assert channel.rate_per_second is None or channel.rate_per_second > 0


@pytest.mark.parametrize("kind", CHANNELS)
@pytest.mark.parametrize("data", [{"a": "<b>&", "n": [1, {"x": None}]}, [1, "a"], "text", 5, None, {}])
def test_its_default_template_renders_whatever_the_data(kind: str, data: Any) -> None:
    renderer = Renderer(CHANNELS)
    seen = {"id": "evt_1", "type": "a.b", "source": "/s", "subject": None, "time": "2026-11-23T12:00:00Z", "data": data}
    content = renderer.content(kind, seen, None)
    assert set(content) == set(CHANNELS[kind].default_template)
    for field in CHANNELS[kind].escapes:
        assert "<b>" not in json.dumps(content[field])


@pytest.mark.parametrize(("kind", "example"), SAMPLES)
async def test_a_send_is_one_arrival_and_a_receipt(kind: str, example: dict[str, Any], world: World) -> None:
    async with opened(CHANNELS[kind], world.context) as channel:
        receipt = await channel.send(MESSAGE, world.target(CHANNELS[kind], example))
    assert isinstance(receipt, Receipt)
    assert world.arrivals() == 1


@pytest.mark.parametrize(("kind", "example"), SAMPLES)
async def test_a_refused_send_is_one_try_and_its_error_has_no_secret(
    kind: str, example: dict[str, Any], world: World
) -> None:
    world.receiver.script = lambda arrival: Reply(500, f"{arrival.path} {dict(arrival.headers)}")
    world.mail.data_answers = ["451 Not now"]
    (world.context.data_dir / "files").touch()
    async with opened(CHANNELS[kind], world.context) as channel:
        with pytest.raises(SendFailed) as caught:
            await channel.send(MESSAGE, world.target(CHANNELS[kind], example))
    assert len(world.receiver.requests) <= 1
    assert not caught.value.permanent
    assert caught.value.detail
    for secret in SECRETS:
        assert secret not in f"{caught.value.detail} {caught.value!r} {caught.value.response_body}"


@pytest.mark.parametrize(("kind", "example"), SAMPLES)
async def test_a_send_that_is_cancelled_at_any_moment_hinders_no_later_one(
    kind: str, example: dict[str, Any], world: World
) -> None:
    target = world.target(CHANNELS[kind], example)
    async with opened(CHANNELS[kind], world.context) as channel:
        for turns in range(0, 30, 3):
            task = asyncio.create_task(channel.send(MESSAGE, target))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with patience():
            await channel.send(MESSAGE, target)


@pytest.mark.parametrize(("kind", "example"), SAMPLES)
async def test_many_sends_at_once_all_arrive(kind: str, example: dict[str, Any], world: World) -> None:
    target = world.target(CHANNELS[kind], example)
    async with opened(CHANNELS[kind], world.context) as channel:
        await asyncio.gather(*(channel.send(MESSAGE, target) for _ in range(20)))
    assert world.arrivals() == 20


@pytest.mark.parametrize(("kind", "example"), SAMPLES)
async def test_it_leaves_the_message_and_the_target_as_they_were(
    kind: str, example: dict[str, Any], world: World
) -> None:
    target = world.target(CHANNELS[kind], example)
    before = (target.model_dump_json(), json.dumps(dict(MESSAGE.content)))
    async with opened(CHANNELS[kind], world.context) as channel:
        await channel.send(MESSAGE, target)
    assert (target.model_dump_json(), json.dumps(dict(MESSAGE.content))) == before
