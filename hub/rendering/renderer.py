"""Rendering the template fields of a channel, and the templates in a target, for one event."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import cache
from html import escape as escape_html
from typing import Any
from urllib.parse import quote_plus

import orjson
from liquid import BoundTemplate
from liquid.exceptions import LiquidError, LiquidSyntaxError, ResourceLimitError, UnknownFilterError

from channels.base import Channel, Escape, InvalidContent, TargetModel, Templates
from hub.errors import Fault, Invalid
from hub.rendering.builtin import PARTIALS, built_in_templates
from hub.rendering.liquid_filters import FILTERS, OWN_FILTERS
from hub.rendering.sandbox import MAX_SOURCE, Meter, RenderFailed, Sandbox, place_of
from hub.rendering.targets import has_template, rendered_fields, shown_name
from hub.validation import pointer

MAX_LEAVES = 500
MAX_NESTING = 20
_CACHED_CHARACTERS = 2 * 1_048_576

Place = tuple[str | int, ...]


class Renderer:
    """Renders the template fields that a channel's class declares.

    For each field the first of these counts: the subscription's override, the template that comes with the hub for this
    event type, the channel's default. See docs/decisions/0004.

    Example:

        from channels.slack import SlackChannel

        renderer = Renderer({"slack": SlackChannel})
        renderer.content("slack", event.seen(data), None)  # {"text": "New order 1001: …", "blocks": […]}
    """

    def __init__(self, channels: Mapping[str, type[Channel[Any]]]) -> None:
        self._channels = channels
        # At once, so that a mistake in what comes with the hub stops the start and not a message.
        _trusted(None)
        # Escaping is built into a compiled template, so each way of escaping has compilers of its own.
        self._untrusted = {
            how: _Compiled(Sandbox(escape, filters=OWN_FILTERS.get(how))) for how, escape in _ESCAPES.items()
        }

    def renders(self, kind: str, target: TargetModel) -> bool:
        """Whether there is anything to render for this target."""
        return self._channels[kind].templates_for(target) is not None or bool(rendered_fields(type(target)))

    def check(self, kind: str, template: Mapping[str, Any], target: TargetModel | None = None) -> None:
        """Check a subscription's override, for this target. Raises `Invalid`, with pointers under `/template`."""
        templates, fields = self._templates(kind, target), self._channels[kind].default_template
        if templates is not None or not fields:
            faults = _Check(self._untrusted, templates.escapes if templates else {}).check(template, fields)
        else:
            detail = (
                f"is for other targets of this channel: they have {', '.join(fields)}, and this one has no template"
            )
            faults = [Fault(detail, pointer("template", field)) for field in template]
        if faults:
            raise Invalid("The template cannot be used.", errors=faults)

    def check_example(
        self, kind: str, override: Mapping[str, Any], seen: Mapping[str, Any], target: TargetModel
    ) -> None:
        """Try an override with an example of an event. Raises `Invalid`, with a pointer under `/template`."""
        try:
            self._channels[kind].check_content(self.content(kind, seen, override, target), target)
        except RenderFailed:
            # It may be for a member that only this example lacks.
            return
        except InvalidContent as wrong:
            detail = f"{wrong.detail}, with the example of {seen['type']}"
            fault = Fault(detail, pointer("template", wrong.field))
            raise Invalid("The template cannot be used.", errors=[fault]) from None

    def check_target(self, target: TargetModel) -> None:
        """Check the templates in a target. Raises `Invalid`, with pointers under `/target`."""
        check = _Check(self._untrusted, {})
        for field in rendered_fields(type(target)):
            check.check_leaves(getattr(target, field), None, ("target", shown_name(type(target), field)))
        if check.faults:
            raise Invalid("A template in the target cannot be used.", errors=check.faults)

    def content(
        self,
        kind: str,
        seen: Mapping[str, Any],
        override: Mapping[str, Any] | None,
        target: TargetModel | None = None,
    ) -> dict[str, Any]:
        """The channel's template fields, rendered for an event as `Event.seen` shows it; nothing where messages to this
        target have none. Without a target, as the channel's class declares them.

        Each string in a field is a template of its own, so that no value can break the structure around it. Raises
        `RenderFailed`.
        """
        templates = self._templates(kind, target)
        if templates is None:
            return {}
        built_in = built_in_templates(templates.built_in).get(seen["type"], {})
        meter = Meter()
        content: dict[str, Any] = {}
        channel = self._channels[kind]
        for field, default in channel.default_template.items():
            how = templates.escapes.get(field)
            if override and field not in override and override.get(channel.made_from.get(field, "")):
                continue
            if override is not None and field in override:
                content[field] = self._untrusted[how].render(override[field], seen, meter, (field,))
            else:
                content[field] = _trusted(how).render(built_in.get(field, default), seen, meter, (field,))
        return content

    def _templates(self, kind: str, target: TargetModel | None) -> Templates | None:
        channel = self._channels[kind]
        return Templates(kind, channel.escapes) if target is None else channel.templates_for(target)

    def target(self, target: TargetModel, seen: Mapping[str, Any]) -> TargetModel:
        """The target with the templates in its `Rendered` fields rendered; the same target when it has no templates.

        The result is checked by the channel. Raises `RenderFailed`.
        """
        fields = [name for name in rendered_fields(type(target)) if has_template(getattr(target, name))]
        if not fields:
            return target
        meter = Meter()
        plain = self._untrusted[None]
        update = {name: plain.render(getattr(target, name), seen, meter, ("target", name)) for name in fields}
        return target.rendered(update)


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


class _Compiled:
    """A sandbox, and a cache of the templates that it compiled last, bounded by their number of characters."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._cache: OrderedDict[str, BoundTemplate] = OrderedDict()
        self._characters = 0

    def get(self, source: str) -> BoundTemplate:
        """Raises `LiquidError`."""
        # By its text and not by its subscription: a template that was changed cannot be taken for its old form.
        cached = self._cache.get(source)
        if cached is not None:
            self._cache.move_to_end(source)
            return cached
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
            return self._sandbox.render_template(self.get(source), seen, meter)
        except LiquidError as error:
            # Without its cause, which quotes the template or a value: either may hold a secret.
            raise RenderFailed(", ".join(filter(None, (where, place_of(error)))) + f": {_reason(error)}") from None
        except Exception as error:  # noqa: BLE001 - filters raise anything on values that they cannot take
            raise RenderFailed(f"{where}: a filter cannot take the value ({type(error).__name__})") from None


@cache
def _trusted(how: Escape | None) -> _Compiled:
    """For what comes with the hub and its channels, which is compiled once a process and not in each renderer."""
    return _Compiled(Sandbox(_ESCAPES[how], PARTIALS, OWN_FILTERS.get(how)))


class _Check:
    """Checks templates before they are stored, and collects what is wrong with them in `faults`."""

    def __init__(self, compiled: Mapping[Escape | None, _Compiled], escapes: Mapping[str, Escape]) -> None:
        self._compiled = compiled
        self._escapes = escapes
        self._leaves = 0
        self._characters = 0
        self.faults: list[Fault] = []

    def check(self, template: Mapping[str, Any], default: Mapping[str, Any]) -> list[Fault]:
        for field, value in template.items():
            place: Place = ("template", field)
            if field not in default:
                known = ", ".join(default) or "none"
                self._fault(f"is not a template field of this channel; it has {known}", place)
            elif _json_type(value) != _json_type(default[field]):
                self._fault(f"must be {_json_type(default[field])}", place)
            else:
                self.check_leaves(value, self._escapes.get(field), place)
        return self.faults

    def check_leaves(self, value: Any, how: Escape | None, place: Place) -> None:
        self._leaves += 1
        if len(place) > MAX_NESTING or self._leaves > MAX_LEAVES:
            self._fault(f"is too large: at most {MAX_LEAVES} values, {MAX_NESTING} deep", place[:2])
            raise Invalid("The template cannot be used.", errors=self.faults)
        if isinstance(value, Mapping):
            for name, inner in value.items():
                self.check_leaves(inner, how, (*place, name))
        elif isinstance(value, list | tuple):
            for index, inner in enumerate(value):
                self.check_leaves(inner, how, (*place, index))
        elif isinstance(value, str):
            self._check_text(value, how, place)

    def _check_text(self, source: str, how: Escape | None, place: Place) -> None:
        self._characters += len(source)
        if self._characters > MAX_SOURCE:
            self._fault(f"brings the templates to more than {MAX_SOURCE} characters in total", place)
            raise Invalid("The template cannot be used.", errors=self.faults)
        try:
            self._compiled[how].get(source)
        except LiquidError as error:
            self._fault(f"{place_of(error)}: {_reason(error)}".removeprefix(": "), place)

    def _fault(self, detail: str, place: Place) -> None:
        self.faults.append(Fault(detail, pointer(*place)))


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


def _json_type(value: Any) -> str:
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "an object"
    return "an array" if isinstance(value, list | tuple) else "a string, an object or an array"
