"""What a check of a machine, a server or a hub saw."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "failed"]

EMPTY_STORE = "empty store"
"""The name of the finding that there is nothing of a hub where a store was looked for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen, and, where it is not well, what to do about it."""

    check: str
    state: State
    seen: str
    advice: str = ""
