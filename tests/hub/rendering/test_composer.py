"""What takes long to render is rendered off the event loop, with the same result."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from channels.slack import SlackChannel
from hub.compute import ComputePool
from hub.compute.process import ComputeProcess
from hub.models import Event
from hub.rendering import Composer, Renderer, RenderFailed
from hub.rendering.composer import AT_ONCE_BYTES
from hub.testing.clock import START

TARGET = SlackChannel.Target.model_validate({"webhook_url": "https://hooks.slack.com/services/T0/B0/x"})
SLOW = "{% for i in (1..1900) %}{{ data.a | upcase | downcase | upcase | downcase | size }}{% endfor %}"


class Counting(ComputePool):
    calls = 0

    async def _turn(self, tenant: str) -> ComputeProcess:
        self.calls += 1
        return await super()._turn(tenant)


@pytest.fixture
async def compute() -> AsyncIterator[Counting]:
    async with Counting() as opened:
        yield opened


@pytest.fixture
def composer(compute: Counting) -> Composer:
    return Composer(Renderer({"slack": SlackChannel}), compute)


def event(data: Any, type: str = "a.b") -> Event:
    return Event(
        id="evt_1", tenant="acme", type=type, source="x", time=START, data=orjson.dumps(data), accepted_at=START
    )


async def text(composer: Composer, template: str, data: Any, source: object = "sub_1") -> str:
    content, target = await composer.compose(source, "slack", event(data), {"text": template}, TARGET)
    assert target is TARGET
    return str(content["text"])


async def test_what_is_quick_is_rendered_at_once(composer: Composer, compute: Counting) -> None:
    assert await text(composer, "{{ data.a }} < {{ type }}", {"a": "<b>"}) == "&lt;b&gt; < a.b"
    assert compute.calls == 0


@pytest.mark.process
async def test_large_data_and_large_templates_are_rendered_elsewhere_with_the_same_result(
    composer: Composer, compute: Counting
) -> None:
    assert await text(composer, "{{ data.a | size }}", {"a": "x" * AT_ONCE_BYTES}) == str(AT_ONCE_BYTES)
    assert await text(composer, "{{ data.a }}," * 100, {"a": "<"}) == "&lt;," * 100
    assert compute.calls == 2


@pytest.mark.process
async def test_a_template_that_takes_too_long_fails_elsewhere_and_is_not_tried_here_again(
    composer: Composer, compute: Counting
) -> None:
    for _ in range(2):
        with pytest.raises(RenderFailed, match=r"text, line 1, column .*: the template takes too long"):
            await text(composer, SLOW, {"a": "x" * 20_000})
    assert (compute.calls, [*composer._slow]) == (2, ["sub_1"])
    assert await text(composer, "{{ data.a }}", {"a": "x"}, "sub_2") == "x"
    assert compute.calls == 2


@pytest.mark.process
async def test_templates_of_the_hub_keep_the_time_of_the_event_loop_as_well(
    composer: Composer, compute: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.rendering.composer.AT_ONCE_SECONDS", 0.0)
    order = {"order_id": "1", "total": "1.00", "currency": "EUR", "items": [{"sku": "<x>", "quantity": 1}] * 3}
    content, _ = await composer.compose("sub_1", "slack", event(order, "order.created"), None, TARGET)
    seen = event(order, "order.created").seen(order)
    assert content == Renderer({"slack": SlackChannel}).content("slack", seen, None, TARGET)
    assert compute.calls == 1
