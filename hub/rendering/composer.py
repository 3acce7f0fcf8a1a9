"""Rendering the messages of subscriptions: at once where that takes little time, otherwise off the event loop."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from channels.base import TargetModel
from hub.compute import Budget, ComputePool, OverBudget
from hub.models import Event
from hub.rendering.compiled import render
from hub.rendering.renderer import Parts, Renderer
from hub.rendering.sandbox import Meter, RenderFailed, TooSlow

AT_ONCE_SECONDS = 0.005
"""Processor time of the event loop for one message. What takes longer begins again in another process."""
AT_ONCE_BYTES = 32_768
"""Data of an event up to which this is tried: a filter of a template may work on all of them at once."""
MAX_SECONDS = 1.0
"""Processor time for one message, also where its templates have no limit of their own."""
MAX_SLOW = 10_000

Content = dict[str, Any]


class Composer:
    """Renders messages, and remembers for which subscriptions that takes long.

    Example:

        from channels.slack import SlackChannel

        composer = Composer(Renderer({"slack": SlackChannel}), compute)
        content, target = await composer.compose("sub_1", "slack", event, {"text": "{{ data.total }}"}, target)
    """

    def __init__(self, renderer: Renderer, compute: ComputePool) -> None:
        self._renderer = renderer
        self._compute = compute
        self._slow: OrderedDict[object, None] = OrderedDict()

    async def compose(
        self, source: object, kind: str, event: Event, override: Mapping[str, Any] | None, target: TargetModel
    ) -> tuple[Content, TargetModel]:
        """The template fields, rendered, and the target with its templates rendered. `source` names these templates.

        Raises `RenderFailed`.
        """
        parts = self._renderer.parts(kind, event.type, override, target)
        # Most webhooks have nothing to render. For them the data are not parsed at all: they are sent as they came.
        if not parts.content and not parts.target:
            return {}, target
        content, fields = await self._rendered(source, parts, event)
        return content, target.rendered(fields) if fields else target

    async def _rendered(self, source: object, parts: Parts, event: Event) -> tuple[Content, Content]:
        if len(event.data) <= AT_ONCE_BYTES and source not in self._slow:
            try:
                return _render(parts, event.seen(orjson.loads(event.data)), AT_ONCE_SECONDS)
            except TooSlow:
                self._slow[source] = None
                if len(self._slow) > MAX_SLOW:
                    self._slow.popitem(last=False)
        head = event.seen(None)
        try:
            return await self._compute.run(event.tenant, Budget(MAX_SECONDS), rendered, parts, head, event.data)
        except OverBudget:
            raise RenderFailed(f"it takes more than {MAX_SECONDS:g} s of processor time") from None


def rendered(parts: Parts, head: Mapping[str, Any], data: bytes) -> tuple[Content, Content]:
    """Content and fields of the target, rendered for the event with these other members. Raises `RenderFailed`."""
    return _render(parts, {**head, "data": orjson.loads(data)})


def _render(parts: Parts, seen: Mapping[str, Any], on_loop: float | None = None) -> tuple[Content, Content]:
    content, target = (_meter(on_loop) for _ in parts)
    return render(parts.content, seen, content), render(parts.target, seen, target)


def _meter(on_loop: float | None) -> Meter:
    return Meter() if on_loop is None else Meter(on_loop, on_loop=True)
