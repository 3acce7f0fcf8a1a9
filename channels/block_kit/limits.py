"""Blocks within Slack's limits: what is too long is cut, and what Slack would refuse altogether is left out.

Slack refuses the whole message for one text that is too long or empty.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from channels.block_kit.cutting import cut

# https://docs.slack.dev/reference/block-kit/blocks, …/block-elements and …/composition-objects
MAX_BLOCKS = 50
MAX_URL = 3_000
_NO_ALT_TEXT = "image"
_SELECT = {"placeholder": 150}
_CHOICES = {"options": 100, "option_groups": 100}
_SELECTS = tuple(
    f"{many}{source}_select"
    for many in ("", "multi_")
    for source in ("static", "external", "users", "conversations", "channels")
)
_TEXTS: Mapping[str, Mapping[str, int]] = {
    "header": {"text": 150},
    "section": {"text": 3_000},
    "image": {"alt_text": 2_000, "title": 2_000},
    "video": {"alt_text": 2_000, "title": 199, "description": 199, "author_name": 49},
    "input": {"label": 2_000, "hint": 2_000},
    "markdown": {"text": 12_000},
    "button": {"text": 75, "value": 2_000, "accessibility_label": 75},
    "workflow_button": {"text": 75, "accessibility_label": 75},
    "option": {"text": 75, "value": 150, "description": 75},
    "option_group": {"label": 75},
    "confirm": {"title": 100, "text": 300, "confirm": 30, "deny": 30},
    "plain_text_input": _SELECT,
    "datepicker": _SELECT,
    "timepicker": _SELECT,
    **dict.fromkeys(_SELECTS, _SELECT),
}
"""Characters of each text, by the kind of the object that it is in."""
_COUNTS: Mapping[str, Mapping[str, int]] = {
    "section": {"fields": 10},
    "context": {"elements": 10},
    "actions": {"elements": 25},
    "overflow": {"options": 5},
    "checkboxes": {"options": 10},
    "radio_buttons": {"options": 10},
    **dict.fromkeys(_SELECTS, _CHOICES),
    "option_group": {"options": 100},
}
_MAX_TEXT_OBJECT = 3_000
_MAX_LISTED_TEXT = 2_000
"""Characters of a text in `fields` or `elements`."""
_TEXT_OBJECTS = frozenset({"mrkdwn", "plain_text"})
_MAX_ID = 255
_IDS = frozenset({"block_id", "action_id"})
_URLS = frozenset({"url", "image_url", "thumbnail_url", "video_url", "title_url", "provider_icon_url"})
_UNTYPED = {
    "options": "option",
    "initial_options": "option",
    "initial_option": "option",
    "option_groups": "option_group",
    "confirm": "confirm",
}
"""Objects that have no `type`, by the member that holds them."""
_NEEDED: Mapping[str, str] = {
    "header": "text",
    "section": "text|fields",
    "context": "elements",
    "actions": "elements",
    "image": "image_url|slack_file",
    "video": "title video_url thumbnail_url",
    "input": "label element",
    "markdown": "text",
    "button": "text",
    "workflow_button": "text",
    "overflow": "options",
    "checkboxes": "options",
    "radio_buttons": "options",
    "static_select": "options|option_groups",
    "multi_static_select": "options|option_groups",
    "option": "text",
    "option_group": "label options",
    "confirm": "title text confirm deny",
}
"""The members without which Slack refuses an object of this kind; of `a|b` one is enough."""


def fitted_blocks(blocks: Sequence[Any]) -> list[dict[str, Any]]:
    """The blocks within their limits, without those that would show nothing."""
    fitted = (_fitted(block, str(block.get("type"))) for block in blocks if isinstance(block, Mapping))
    return [block for block in fitted if block is not None][:MAX_BLOCKS]


def _fitted(thing: Mapping[str, Any], kind: str) -> dict[str, Any] | None:
    """A block, an element or another object of this kind within its limits; None when it has nothing left to show."""
    fitted = {name: value for name, value in _members(thing, kind) if value is not None}
    if kind == "image":
        fitted.setdefault("alt_text", _NO_ALT_TEXT)
    needed = _NEEDED.get(kind, "").split()
    return fitted if all(any(name in fitted for name in one.split("|")) for one in needed) else None


def _members(thing: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Any]]:
    """Each member with its value as Slack takes it; None for a value to leave out."""
    limits, counts = _TEXTS.get(kind, {}), _COUNTS.get(kind, {})
    for name, value in thing.items():
        if name in limits:
            yield name, _fitted_text(value, limits[name], mrkdwn=kind == "markdown")
        elif name in _URLS and isinstance(value, str):
            # Half of an address leads nowhere.
            yield name, value if 0 < len(value) <= MAX_URL else None
        elif name in _IDS and isinstance(value, str):
            yield name, value[:_MAX_ID] or None
        elif isinstance(value, list) and kind != "rich_text":
            yield name, _fitted_list(value, name, counts.get(name)) or None
        else:
            yield name, _fitted_member(value, name, _MAX_TEXT_OBJECT)


def _fitted_list(values: Sequence[Any], name: str, count: int | None) -> list[Any]:
    fitted = (_fitted_member(value, name, _MAX_LISTED_TEXT) for value in values)
    return [value for value in fitted if value is not None][:count]


def _fitted_member(value: Any, name: str, limit: int) -> Any:
    """A text object cut to `limit`, or another object within its own limits. Anything else is returned unchanged."""
    if not isinstance(value, Mapping):
        return value
    kind = _UNTYPED.get(name) or str(value.get("type"))
    return _fitted_text(value, limit) if kind in _TEXT_OBJECTS else _fitted(value, kind)


def _fitted_text(text: Any, limit: int, *, mrkdwn: bool = False) -> Any:
    """A text, or a text object, cut to `limit`; None for an empty one. Anything else is returned unchanged."""
    if isinstance(text, str):
        return cut(text, limit, mrkdwn=mrkdwn) if text.strip() else None
    if not isinstance(text, Mapping) or not isinstance(text.get("text"), str):
        return text
    shown = text["text"]
    return {**text, "text": cut(shown, limit, mrkdwn=text.get("type") == "mrkdwn")} if shown.strip() else None
