"""What other processes did, told by a short stream that their scripts write to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from hub.errors import Unavailable
from hub.stores.base import Signal, Signals
from hub.stores.milliseconds import instant
from hub.stores.redis.client.engine import BLOCK_SECONDS, Engine, Reader
from hub.stores.redis.codec import fields, unpack
from hub.stores.redis.key_names import KeyNames

_AT_ONCE: Final = 1_000
_MISSED: Final = Signal(fans_out=True, catalogue=True)
"""What is said when some may not have been heard."""


class RedisSignals(Signals):
    """Made by `open_signals`."""

    def __init__(self, engine: Engine, reader: Reader, last: int) -> None:
        """`last` is the number of the last signal that is not told any more."""
        self._keys = KeyNames(engine.prefix)
        self._reader = reader
        self._last = last
        self._lost = False

    async def next(self) -> Signal:
        try:
            if self._lost:
                return await self._begin_again()
            while not (found := await self._read()):
                pass
        except Unavailable:
            self._lost = True
            raise
        return self._merged(found[0][1])

    async def _begin_again(self) -> Signal:
        """After trouble; a server that was restored from something older has given fewer numbers."""
        newest = int(await self._reader.ask("HGET", self._keys.meta, "signals") or 0)
        self._last = min(self._last, newest)
        self._lost = False
        return _MISSED

    async def _read(self) -> Any:
        place = ("STREAMS", self._keys.signals, f"{self._last}-0")
        return await self._reader.ask("XREAD", "COUNT", _AT_ONCE, "BLOCK", BLOCK_SECONDS * 1000, *place)

    def _merged(self, found: list[Any]) -> Signal:
        due: dict[str, int] = {}
        numbers = [int(id_.partition(b"-")[0]) for id_, _ in found]
        # Numbers have no holes: what is missing before the first was dropped before it could be read.
        missed = numbers[0] > self._last + 1
        self._last = numbers[-1]
        names: set[str] = set()
        for _, values in found:
            told = fields(values)
            names |= told.keys()
            for lane, at in unpack(told["due"]).items() if "due" in told else ():
                due[lane] = min(at, due.get(lane, at))
        told_due: dict[str, datetime | None] = {lane: instant(at) if at else None for lane, at in due.items()}
        return Signal(told_due, fans_out=missed or "fans_out" in names, catalogue=missed or "catalogue" in names)


@asynccontextmanager
async def open_signals(engine: Engine) -> AsyncIterator[RedisSignals]:
    """The signals from now on."""
    reader = engine.reader()
    try:
        yield RedisSignals(engine, reader, int(await engine.ask("HGET", KeyNames(engine.prefix).meta, "signals") or 0))
    finally:
        await reader.close()
