"""Exceptions from the lints, each of which needs a reason beside it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from measuring.source import Source, is_reason

_HEADER = re.compile(r"\[+([^\[\]]+)\]+")
_KEY = re.compile(r'"?([^"=]+?)"?\s*=')
_PER_FILE = "tool.ruff.lint.per-file-ignores"
_LISTS = {("tool.ruff.lint", "ignore"), ("tool.ruff.lint", "extend-ignore")}
_OVERRIDE = re.compile(r"^\[\[tool\.mypy\.overrides\]\].*(?:\n(?!\[).*)*", re.MULTILINE)


class Exempted(NamedTuple):
    """An exception, and whether a reason stands beside it."""

    place: str
    reasoned: bool


def in_code(files: Iterable[Source]) -> Iterator[Exempted]:
    """Those that comments make: `noqa`, `type: ignore`, `pragma: no cover` and the like."""
    for file in files:
        yield from (Exempted(f"{file.place}:{line}", reasoned) for line, reasoned in file.exceptions())


def in_settings(path: Path) -> Iterator[Exempted]:
    """Those that `pyproject.toml` makes: each line of ruff's lists of ignored rules, and each override of mypy."""
    text = path.read_text()
    yield from _ruffs(path.name, text)
    for found in _OVERRIDE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Exempted(f"{path.name}:{line}", any(is_reason(part.partition("#")[2]) for part in found[0].splitlines()))


def _ruffs(name: str, text: str) -> Iterator[Exempted]:
    """A list on one line is one exception; in a longer one each line is. A reason at its opening covers all of it."""
    section, listed, covered = "", False, False
    for number, line in enumerate(text.splitlines(), 1):
        code, _, comment = line.partition("#")
        if header := _HEADER.fullmatch(code.strip()):
            section, listed = header[1], False
        elif key := _KEY.match(code):
            listed = section == _PER_FILE or (section, key[1]) in _LISTS
            covered = is_reason(comment)
            if listed and "]" in code:
                yield Exempted(f"{name}:{number}", covered)
        elif listed and '"' in code:
            yield Exempted(f"{name}:{number}", covered or is_reason(comment))
