"""Liquid for templates that are not trusted: no files, no clock, fixed tags and filters, and bounded work.

See docs/decisions/0004.

Costs are limited before they arise: ranges are allowed in `for` only, loops are charged before they run, and filters
whose result may be much larger than their input are checked before they run (all others afterwards). What no such rule
foresees ends at a limit of CPU time, which unlike wall-clock time does not depend on what else the machine does.
Templates of the hub and of channels are code: they may include partials, and have no limit of CPU time but that of the
event loop, after which they are rendered elsewhere (see docs/decisions/0031).
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from io import StringIO
from typing import Any, TextIO

from liquid import BoundTemplate, CachingDictLoader, Environment, RenderContext, Token
from liquid.builtin import (
    assign_tag,
    capture_tag,
    case_tag,
    comment_tag,
    content,
    cycle_tag,
    for_tag,
    if_tag,
    illegal,
    include_tag,
    inline_comment_tag,
    output,
    unless_tag,
)
from liquid.exceptions import LiquidError, ResourceLimitError
from liquid.undefined import UNDEFINED

from hub.rendering.checks import check_markup, check_nodes
from hub.rendering.liquid_filters import FILTERS, MAX_ELEMENTS, MAX_VALUE, Escaped, text_of

MAX_SOURCE = 65_536
MAX_WRITTEN = 1_048_576
"""Characters that all fields of a message may have together, including the text that `capture` takes."""
MAX_STORED = 4 * 1_048_576
MAX_STEPS = 20_000
MAX_CPU_SECONDS = 0.04
LIGHT_COMPILING = 4_000
"""The weight of what may be compiled on the event loop for one message."""
_TICKS_PER_CHECK = 8
# Liquid takes these from the machine's clock; but a message that is sent again must have the same text.
_NO_CLOCK = {"now": None, "today": None}
_CHARACTERS_PER_STEP = 100


class RenderFailed(Exception):
    """A template cannot be rendered for this event. The text names the place in the template, and quotes no value."""


class TooSlow(RenderFailed):
    """Rendering takes more processor time than it may, wherever it is done."""


def compiling_weight(source: str) -> int:
    """What a template costs to compile: as many microseconds, or a few more."""
    return len(source) + 50 * (source.count("{{") + source.count("{%"))


class Meter:
    """What rendering one message has cost so far; all templates of the message share it.

    A meter for the event loop has less time, which templates that are trusted have to keep as well, and refuses to
    compile what is large.
    """

    def __init__(self, cpu_seconds: float = MAX_CPU_SECONDS, *, on_loop: bool = False) -> None:
        self.on_loop = on_loop
        self.is_late = False
        """Whether the time is over."""
        self._cpu_seconds = cpu_seconds
        self._compiling = 0
        self._steps = 0
        self._stored = 0
        self._written = 0
        self._ticks = 0
        self._ends_at = math.inf

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count CPU time against what is left of the limit."""
        self._ends_at = time.thread_time() + self._cpu_seconds
        try:
            yield
        finally:
            self._cpu_seconds = self._ends_at - time.thread_time()
            self._ends_at = math.inf

    def tick(self) -> None:
        """Check the time once in a few ticks: what happens between two of them is short, and the clock costs time."""
        self._ticks += 1
        if self._ticks % _TICKS_PER_CHECK == 0:
            self.check_time()

    def check_time(self) -> None:
        if time.thread_time() > self._ends_at:
            self.is_late = True
            raise ResourceLimitError("takes too long", token=None)

    def compile(self, source: str) -> None:
        """Charge what it takes to compile a template, which cannot be interrupted."""
        self._compiling += compiling_weight(source)
        if self.on_loop and self._compiling > LIGHT_COMPILING:
            self.is_late = True
            raise ResourceLimitError("takes too long to compile", token=None)

    def charge(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MAX_STEPS:
            raise ResourceLimitError("loops too often", token=None)

    def store(self, value: object) -> None:
        self._stored += len(value) if isinstance(value, str | list) else 1
        if self._stored > MAX_STORED:
            raise ResourceLimitError("keeps too much", token=None)

    def written(self, size: int) -> None:
        self._written += size
        if self._written > MAX_WRITTEN:
            raise ResourceLimitError("writes too much", token=None)


class _Context(RenderContext):
    """Charges each look-up, filter, loop and variable, and escapes what is written."""

    meter: Meter
    loop_weight: int
    env: "Sandbox"

    def get(self, path: list[object], *, token: Token | None, default: object = UNDEFINED) -> object:
        self.meter.tick()
        try:
            value: Any = self.scope[path[0]]  # type: ignore[index] # untyped in Liquid
            # Nearly every step is a plain member of an object; Liquid's own look-up is for the rest.
            for part in path[1:]:
                value = value[part] if type(value) is dict and part in value else self.get_item(value, part)
        except (KeyError, IndexError, TypeError):
            return self.env.undefined(str(path[0]), token=token) if default is UNDEFINED else default
        return value

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        self.meter.check_time()
        return partial(_bounded, super().filter(name, token))

    def assign(self, key: str, val: Any) -> None:
        self.meter.store(val)
        self.locals[key] = val

    def get_buffer(self, buf: TextIO | None = None) -> StringIO:
        return _Buffer(self.meter)

    def loop(self, namespace: Mapping[str, object], forloop: Any) -> Any:
        self.meter.charge(forloop.length * self.loop_weight)
        return super().loop(namespace, forloop)

    def shown(self, value: object) -> str:
        return str(value) if isinstance(value, Escaped) else self.env.escape(text_of(value))


def _bounded(function: Callable[..., object], /, *args: object, **options: object) -> object:
    result = function(*args, **options)
    if isinstance(result, str | list) and len(result) > (MAX_VALUE if isinstance(result, str) else MAX_ELEMENTS):
        raise ResourceLimitError("makes too large a value", token=None)
    # Numbers grow as texts do: multiplied with itself a few dozen times, one has millions of digits.
    if isinstance(result, int) and result.bit_length() > 256:
        raise ResourceLimitError("makes too large a number", token=None)
    return result


class _Buffer(StringIO):
    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    def write(self, text: str) -> int:
        self._meter.written(len(text))
        return super().write(text)


class _OutputNode(output.OutputNode):
    def render_to_output(self, context: Any, buffer: TextIO) -> int:
        return buffer.write(context.shown(self.expression.evaluate(context)))


class _Output(output.Output):
    node_class = _OutputNode


class _CaptureNode(capture_tag.CaptureNode):
    def _assign(self, context: RenderContext, buf: StringIO) -> None:
        context.assign(self.name, Escaped(buf.getvalue()))


class _CaptureTag(capture_tag.CaptureTag):
    node_class = _CaptureNode


class _ForNode(for_tag.ForNode):
    __slots__ = ("weight",)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # One turn of a long block costs more than one of a short block.
        self.weight = 1 + len(str(self.block)) // _CHARACTERS_PER_STEP

    def render_to_output(self, context: Any, buffer: TextIO) -> int:
        items = self.expression.iterable.evaluate(context)
        # Not by `len`, which raises `OverflowError` for a range of more than 2^63 numbers.
        if isinstance(items, range) and items.stop - items.start > MAX_STEPS:
            raise ResourceLimitError("loops too often", token=self.token)
        context.loop_weight = self.weight
        return super().render_to_output(context, buffer)


class _ForTag(for_tag.ForTag):
    node_class = _ForNode


_TAGS = (
    content.Literal,
    _Output,
    illegal.Illegal,
    if_tag.IfTag,
    unless_tag.UnlessTag,
    case_tag.CaseTag,
    _ForTag,
    for_tag.BreakTag,
    for_tag.ContinueTag,
    assign_tag.AssignTag,
    _CaptureTag,
    cycle_tag.CycleTag,
    comment_tag.CommentTag,
    inline_comment_tag.InlineCommentTag,
)


class Sandbox(Environment):
    """Compiles and renders templates. `escape` is applied to each value that is written.

    With `partials` the templates are trusted: they may include these, and are not checked. `filters` replace some of
    the usual ones.

    Example:

        from html import escape

        sandbox = Sandbox(escape)
        sandbox.render_template(sandbox.compile("Order {{ data.order_id }}"), {"data": {"order_id": 7}}, Meter())
    """

    block_nesting_limit = 20
    context_depth_limit = 30

    def __init__(
        self,
        escape: Callable[[str], str],
        partials: Mapping[str, str] | None = None,
        filters: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        self.escape = escape
        self.is_trusted = partials is not None
        self._own_filters = filters or {}
        super().__init__(loader=CachingDictLoader(dict(partials or {})))
        for name in partials or ():
            # Compiled at once, so that a partial with a mistake stops the start and not a message.
            self.get_template(name)

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        for tag in (*_TAGS, include_tag.IncludeTag) if self.is_trusted else _TAGS:
            self.add_tag(tag)
        self.filters.update(FILTERS)
        self.filters.update(self._own_filters)

    def compile(self, source: str) -> BoundTemplate:
        """Raises `LiquidError`."""
        if len(source) > MAX_SOURCE:
            raise ResourceLimitError(f"has more than {MAX_SOURCE} characters", token=None)
        if self.is_trusted:
            return self.from_string(source)
        check_markup(source)
        try:
            template = self.from_string(source)
            check_nodes(template.nodes, RenderContext(template))
        except RecursionError:
            raise ResourceLimitError("is nested too deep", token=None) from None
        return template

    def render_template(self, template: BoundTemplate, seen: Mapping[str, object], meter: Meter) -> str:
        """Raises `LiquidError`, and anything that a filter raises for a value which it cannot take."""
        context = _Context(template, globals={**_NO_CLOCK, **seen})
        context.meter, context.loop_weight = meter, 1
        buffer = context.get_buffer()
        with nullcontext() if self.is_trusted and not meter.on_loop else meter.running():
            template.render_with_context(context, buffer)
        return buffer.getvalue()


def place_of(error: LiquidError) -> str:
    """Where in the template: `line 3, column 7`, or an empty string when that is not known."""
    try:
        context = error.context()
    except ValueError:
        context = None
    return f"line {context[0]}, column {context[1] + 1}" if context else ""
