"""The fields of a target whose strings are templates."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from channels.base import Rendered, TargetModel


@lru_cache(maxsize=256)
def rendered_fields(model: type[TargetModel]) -> tuple[str, ...]:
    """The names of the fields that the channel marks as `Rendered`."""
    return tuple(name for name in model.model_fields if _mark(model, name) is not None)


@lru_cache(maxsize=256)
def recipient_fields(model: type[TargetModel]) -> tuple[str, ...]:
    """Those of the rendered fields that say who gets the message."""
    marks = ((name, _mark(model, name)) for name in model.model_fields)
    return tuple(name for name, mark in marks if mark is not None and mark.recipient)


def shown_name(model: type[TargetModel], field: str) -> str:
    """The name of a field as clients write it."""
    return model.model_fields[field].alias or field


def _mark(model: type[TargetModel], field: str) -> Rendered | None:
    for mark in model.model_fields[field].metadata:
        if mark is Rendered:
            return Rendered()
        if isinstance(mark, Rendered):
            return mark
    return None


def has_template(value: Any) -> bool:
    """Whether a string in the value is a template."""
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    if isinstance(value, Mapping):
        return any(map(has_template, value.values()))
    return isinstance(value, list | tuple) and any(map(has_template, value))
