"""An append-only journal of one JSON object a line, each on disk before `write` returns."""

import os
from pathlib import Path
from typing import Any

import orjson


class Journal:
    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, **members: Any) -> None:
        os.write(self._descriptor, orjson.dumps(members) + b"\n")
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def read_journal(path: Path) -> list[dict[str, Any]]:
    """Every whole line of a journal that may still be written to."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [orjson.loads(line) for line in lines]
