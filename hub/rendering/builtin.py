"""The templates that come with the hub, read once from `hub/templates/<folder>/`.

A folder has the name of its channel, or one that `Channel.templates_for` gives. `<event type>.json` holds template
fields of the channel, and `<event type>.<field>.liquid` the text of one field. A file whose name begins with an
underscore is a partial. It is included as `<folder>/<name>`, without the underscore and the ending.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

_ROOT = files("hub") / "templates"
_ENDING = ".liquid"


def _texts() -> Iterator[tuple[str, str, str]]:
    """The folder, name and text of each file."""
    for folder in _ROOT.iterdir():
        for file in folder.iterdir():
            yield folder.name, file.name, file.read_text("utf-8").rstrip("\n")


def _read() -> tuple[dict[str, dict[str, dict[str, Any]]], dict[str, str]]:
    templates: dict[str, dict[str, dict[str, Any]]] = {}
    partials: dict[str, str] = {}
    for folder, name, text in _texts():
        if name.startswith("_"):
            partials[f"{folder}/{name.removeprefix('_').removesuffix(_ENDING)}"] = text
        elif name.endswith(".json"):
            templates.setdefault(folder, {}).setdefault(name.removesuffix(".json"), {}).update(json.loads(text))
        else:
            event_type, _, field = name.removesuffix(_ENDING).rpartition(".")
            templates.setdefault(folder, {}).setdefault(event_type, {})[field] = text
    return templates, partials


_TEMPLATES, PARTIALS = _read()


def built_in_templates(folder: str) -> Mapping[str, Mapping[str, Any]]:
    """The template fields in a folder, by event type."""
    return _TEMPLATES.get(folder, {})
