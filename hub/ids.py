"""Prefixed, time-ordered identifiers: `evt_` and 32 hexadecimal digits of a UUIDv7 (RFC 9562, section 5.7)."""

from typing import Literal

from uuid_utils import uuid7

Prefix = Literal["evt", "sub", "dlv", "tsk", "fil", "key", "ten", "src", "req", "chg"]


def new_id(prefix: Prefix) -> str:
    """A fresh id such as `evt_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c`; later ids sort after earlier ones."""
    return f"{prefix}_{uuid7().hex}"
