"""Rendering the template fields of a channel, and the templates in a target, for one event."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from channels.base import Channel, InvalidContent, TargetModel, Templates
from hub.compute import Budget, ComputePool, OverBudget
from hub.errors import Fault, Invalid
from hub.rendering.builtin import built_in_templates
from hub.rendering.compiled import Part, Place, compile_fault, compile_faults, render, trusted
from hub.rendering.sandbox import LIGHT_COMPILING, MAX_SOURCE, Meter, RenderFailed, compiling_weight
from hub.rendering.targets import has_template, rendered_fields, shown_name
from hub.validation import pointer

MAX_LEAVES = 500
MAX_NESTING = 20
EXAMPLE_SECONDS = 0.005
"""Processor time of the event loop for one example."""
COMPILE_SECONDS = 2.0
_KNOWN_CHARACTERS = 1_048_576


class Parts(NamedTuple):
    """What is to be rendered of a message."""

    content: Sequence[Part]
    target: Sequence[Part]


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
        trusted(None)
        # What is wrong with templates that were compiled elsewhere because they are large; None for nothing.
        self._known: OrderedDict[str, str | None] = OrderedDict()
        self._known_characters = 0

    def renders(self, kind: str, target: TargetModel) -> bool:
        """Whether there is anything to render for this target."""
        return self._channels[kind].templates_for(target) is not None or bool(rendered_fields(type(target)))

    def check(self, kind: str, template: Mapping[str, Any], target: TargetModel | None = None) -> None:
        """Check a subscription's override, for this target. Raises `Invalid`, with pointers under `/template`."""
        templates, fields = self._templates(kind, target), self._channels[kind].default_template
        if templates is not None or not fields:
            faults = _Check(self._known).check(template, fields)
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
            meter = Meter(EXAMPLE_SECONDS, on_loop=True)
            # Some targets have no template, and so nothing that could be wrong.
            if content := self.content(kind, seen, override, target, meter):
                self._channels[kind].check_content(content, target)
        except RenderFailed:
            # It may be for a member that only this example lacks, or take long.
            return
        except InvalidContent as wrong:
            detail = f"{wrong.detail}, with the example of {seen['type']}"
            fault = Fault(detail, pointer("template", wrong.field))
            raise Invalid("The template cannot be used.", errors=[fault]) from None

    def check_target(self, target: TargetModel) -> None:
        """Check the templates in a target. Raises `Invalid`, with pointers under `/target`."""
        check = _Check(self._known)
        for field in rendered_fields(type(target)):
            check.check_leaves(getattr(target, field), ("target", shown_name(type(target), field)))
        if check.faults:
            raise Invalid("A template in the target cannot be used.", errors=check.faults)

    async def prepare(self, tenant: str, values: Sequence[Any], compute: ComputePool) -> None:
        """Compile the templates in these values elsewhere, where that takes long, so that a check of them is quick.

        Raises `Invalid`, and `Unavailable` when too much of this tenant waits to be computed.
        """
        texts = [text for text in dict.fromkeys(_texts(values)) if text not in self._known]
        weight = sum(map(compiling_weight, texts))
        # What is larger is refused without being compiled.
        if weight <= LIGHT_COMPILING or sum(map(len, texts)) > 2 * MAX_SOURCE:
            return
        compute.refuse_crowd(tenant)
        try:
            faults = await compute.run(tenant, Budget(COMPILE_SECONDS), compile_faults, texts)
        except OverBudget:
            raise Invalid(f"The templates take more than {COMPILE_SECONDS:g} s of processor time to compile.") from None
        for text, fault in zip(texts, faults, strict=True):
            self._known[text] = fault
            self._known_characters += len(text)
        while self._known_characters > _KNOWN_CHARACTERS:
            oldest, _ = self._known.popitem(last=False)
            self._known_characters -= len(oldest)

    def content(
        self,
        kind: str,
        seen: Mapping[str, Any],
        override: Mapping[str, Any] | None,
        target: TargetModel | None = None,
        meter: Meter | None = None,
    ) -> dict[str, Any]:
        """The channel's template fields, rendered for an event as `Event.seen` shows it; nothing where messages to this
        target have none. Without a target, as the channel's class declares them. Raises `RenderFailed`."""
        return render(self._content_parts(kind, seen["type"], override, target), seen, meter or Meter())

    def target(self, target: TargetModel, seen: Mapping[str, Any]) -> TargetModel:
        """The target with the templates in its `Rendered` fields rendered; the same target when it has no templates.

        The result is checked by the channel. Raises `RenderFailed`.
        """
        parts = _target_parts(target)
        return target.rendered(render(parts, seen, Meter())) if parts else target

    def parts(self, kind: str, event_type: str, override: Mapping[str, Any] | None, target: TargetModel) -> Parts:
        """What is to be rendered of a message to this target."""
        return Parts(self._content_parts(kind, event_type, override, target), _target_parts(target))

    def _content_parts(
        self, kind: str, event_type: str, override: Mapping[str, Any] | None, target: TargetModel | None
    ) -> list[Part]:
        templates = self._templates(kind, target)
        if templates is None:
            return []
        built_in = built_in_templates(templates.built_in).get(event_type, {})
        parts, channel = list[Part](), self._channels[kind]
        for field, default in channel.default_template.items():
            how = templates.escapes.get(field)
            if override and field not in override and override.get(channel.made_from.get(field, "")):
                continue
            if override is not None and field in override:
                parts.append(Part(field, override[field], how))
            else:
                parts.append(Part(field, built_in.get(field, default), how, is_trusted=True))
        return parts

    def _templates(self, kind: str, target: TargetModel | None) -> Templates | None:
        channel = self._channels[kind]
        return Templates(kind, channel.escapes) if target is None else channel.templates_for(target)


def _target_parts(target: TargetModel) -> list[Part]:
    fields = ((name, getattr(target, name)) for name in rendered_fields(type(target)))
    return [Part(name, value, place=("target",)) for name, value in fields if has_template(value)]


def _texts(value: Any) -> Iterator[str]:
    """The templates in a value of JSON."""
    if isinstance(value, str):
        if "{" in value:
            yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


class _Check:
    """Checks templates before they are stored, and collects what is wrong with them in `faults`."""

    def __init__(self, known: Mapping[str, str | None]) -> None:
        self._known = known
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
                self.check_leaves(value, place)
        return self.faults

    def check_leaves(self, value: Any, place: Place) -> None:
        self._leaves += 1
        if len(place) > MAX_NESTING or self._leaves > MAX_LEAVES:
            self._fault(f"is too large: at most {MAX_LEAVES} values, {MAX_NESTING} deep", place[:2])
            raise Invalid("The template cannot be used.", errors=self.faults)
        if isinstance(value, Mapping):
            for name, inner in value.items():
                self.check_leaves(inner, (*place, name))
        elif isinstance(value, list | tuple):
            for index, inner in enumerate(value):
                self.check_leaves(inner, (*place, index))
        elif isinstance(value, str):
            self._check_text(value, place)

    def _check_text(self, source: str, place: Place) -> None:
        self._characters += len(source)
        if self._characters > MAX_SOURCE:
            self._fault(f"brings the templates to more than {MAX_SOURCE} characters in total", place)
            raise Invalid("The template cannot be used.", errors=self.faults)
        fault = self._known[source] if source in self._known else compile_fault(source)
        if fault is not None:
            self._fault(fault, place)

    def _fault(self, detail: str, place: Place) -> None:
        self.faults.append(Fault(detail, pointer(*place)))


def _json_type(value: Any) -> str:
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "an object"
    return "an array" if isinstance(value, list | tuple) else "a string, an object or an array"
