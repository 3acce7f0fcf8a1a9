"""Compiled templates, and the rendering of a message's parts with them."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from html import escape as escape_html
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import orjson
from liquid import BoundTemplate
from liquid.exceptions import LiquidError, LiquidSyntaxError, ResourceLimitError, UnknownFilterError

from channels.base import Escape
from hub.rendering.builtin import PARTIALS
from hub.rendering.liquid_filters import FILTERS, OWN_FILTERS
from hub.rendering.sandbox import Meter, RenderFailed, Sandbox, TooSlow, place_of

_CACHED_CHARACTERS = 2 * 1_048_576

Place = tuple[str | int, ...]


class Part(NamedTuple):
    """A template field of a message, or a field of its target: a template, or several in objects and arrays."""

    name: str
    template: Any
    escape: Escape | None = None
    is_trusted: bool = False
    """Whether it comes with the hub or its channel."""
    place: Place = ()
    """Where it stands, for people."""


def render(parts: Sequence[Part], seen: Mapping[str, Any], meter: Meter) -> dict[str, Any]:
    """The parts, by name, rendered for an event as `Event.seen` shows it.

    Each string in a part is a template of its own, so that no value can break the structure around it. Raises
    `RenderFailed`, as `TooSlow` where the time of the meter is over.
    """
    rendered: dict[str, Any] = {}
    for name, template, escape, is_trusted, place in parts:
        compiled = trusted(escape) if is_trusted else untrusted(escape)
        rendered[name] = compiled.render(template, seen, meter, (*place, name))
    return rendered


def compile_faults(sources: Sequence[str]) -> list[str | None]:
    return [compile_fault(source) for source in sources]


def compile_fault(source: str) -> str | None:
    """What is wrong with a template of a subscription, if anything. How values are escaped makes no difference."""
    try:
        untrusted(None).get(source)
    except LiquidError as error:
        return f"{place_of(error)}: {_reason(error)}".removeprefix(": ")
    return None


def _escape_mrkdwn(text: str) -> str:
    """https://docs.slack.dev/messaging/formatting-message-text, "Escaping text"; and backticks, which Slack cannot
    escape, are kept apart so that none of them ends the code around the value."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("`", _APART)


_APART = "\N{ZERO WIDTH SPACE}`\N{ZERO WIDTH SPACE}"
_ESCAPES: Mapping[Escape | None, Callable[[str], str]] = {
    None: str,
    "html": escape_html,
    "mrkdwn": _escape_mrkdwn,
    "json": lambda text: orjson.dumps(text).decode()[1:-1],
    "url": quote_plus,
}


class Compiled:
    """A sandbox, and a cache of the templates that it compiled last, bounded by their number of characters."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._cache: OrderedDict[str, BoundTemplate] = OrderedDict()
        self._characters = 0

    def get(self, source: str, meter: Meter | None = None) -> BoundTemplate:
        """Raises `LiquidError`, also where the meter does not let it be compiled."""
        # By its text and not by its subscription: a template that was changed cannot be taken for its old form.
        cached = self._cache.get(source)
        if cached is not None:
            self._cache.move_to_end(source)
            return cached
        if meter is not None and not self._sandbox.is_trusted:
            meter.compile(source)
        template = self._cache[source] = self._sandbox.compile(source)
        self._characters += len(source)
        while self._characters > _CACHED_CHARACTERS:
            oldest, _ = self._cache.popitem(last=False)
            self._characters -= len(oldest)
        return template

    def render(self, value: Any, seen: Mapping[str, Any], meter: Meter, place: Place) -> Any:
        """The value with each string rendered. Raises `RenderFailed`."""
        if isinstance(value, str):
            return self._render_text(value, seen, meter, place) if "{" in value else value
        if isinstance(value, Mapping):
            return {name: self.render(inner, seen, meter, (*place, name)) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.render(inner, seen, meter, (*place, index)) for index, inner in enumerate(value)]
        return value

    def _render_text(self, source: str, seen: Mapping[str, Any], meter: Meter, place: Place) -> str:
        where = ".".join(map(str, place))
        try:
            return self._sandbox.render_template(self.get(source, meter), seen, meter)
        except LiquidError as error:
            failed = TooSlow if meter.is_late else RenderFailed
            # Without its cause, which quotes the template or a value: either may hold a secret.
            raise failed(", ".join(filter(None, (where, place_of(error)))) + f": {_reason(error)}") from None
        except Exception as error:  # noqa: BLE001 - filters raise anything on values that they cannot take
            raise RenderFailed(f"{where}: a filter cannot take the value ({type(error).__name__})") from None


# Escaping is built into a compiled template, so each way of escaping has compilers of its own, one in each process.
@cache
def trusted(how: Escape | None) -> Compiled:
    """For what comes with the hub and its channels."""
    return Compiled(Sandbox(_ESCAPES[how], PARTIALS, OWN_FILTERS.get(how)))


@cache
def untrusted(how: Escape | None) -> Compiled:
    """For what subscriptions bring."""
    return Compiled(Sandbox(_ESCAPES[how], filters=OWN_FILTERS.get(how)))


def _reason(error: LiquidError) -> str:
    """What is wrong, without quoting the template or a value: either may hold a secret."""
    if isinstance(error, ResourceLimitError):
        return f"the template {error.message}" if error.args else "the template asks for too much"
    if isinstance(error, UnknownFilterError):
        return f"there is no such filter; the filters are {', '.join(sorted(FILTERS))}"
    return (
        "it is not valid Liquid"
        if isinstance(error, LiquidSyntaxError)
        else "it asks for something that cannot be done"
    )
