"""The global names that a Lua 5.1 chunk uses, read from what `string.dump` gives.

The format is that of `ldump.c` and `lopcodes.h`, https://www.lua.org/source/5.1/, on a 64-bit little-endian machine.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

_HEADER: Final = b"\x1bLuaQ\x00\x01\x04\x08\x04\x08\x00"
_GET_GLOBAL: Final = 5
_SET_GLOBAL: Final = 7


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, form: str) -> Any:
        (value,) = struct.unpack_from(f"<{form}", self._data, self._at)
        self._at += struct.calcsize(f"<{form}")
        return value

    def text(self) -> bytes:
        return bytes(self.take(f"{self.take('Q')}s")).rstrip(b"\0")

    def constant(self) -> Any:
        match self.take("B"):
            case 0:
                return None
            case 1:
                return self.take("?")
            case 3:
                return self.take("d")
            case _:
                return self.text()

    def function(self) -> Iterator[str]:
        """The globals of a function and of those in it."""
        self.text()
        self.take("12s")
        code = [self.take("I") for _ in range(self.take("I"))]
        constants = [self.constant() for _ in range(self.take("I"))]
        for instruction in code:
            if instruction & 0x3F in (_GET_GLOBAL, _SET_GLOBAL):
                yield constants[instruction >> 14].decode()
        for _ in range(self.take("I")):
            yield from self.function()
        for _ in range(self.take("I")):
            self.take("I")
        for _ in range(self.take("I")):
            self.text()
            self.take("Q")
        for _ in range(self.take("I")):
            self.text()


def globals_of(dumped: bytes) -> frozenset[str]:
    assert dumped.startswith(_HEADER)
    return frozenset(_Reader(dumped[len(_HEADER) :]).function())
