"""Leases, signals, reports, stream tickets and schedule runs, shared by all processes that have the store open."""

from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Final

from hub.errors import Unavailable
from hub.stores.base import Leases, Reports, Schedules, Signal, Signals, Tickets
from hub.stores.redis.client.engine import BLOCK_SECONDS, Engine, Reader
from hub.stores.redis.keyspace.codec import fields, unpack
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script
from hub.stores.unreadable import READ_ERRORS

_ACQUIRE: Final = script("acquire_lease")
_RELEASE: Final = script("release_lease")
_HELD: Final = script("held_leases")
_PUT: Final = script("put_ticket")
_FIND: Final = script("find_ticket")
_REPLACE: Final = script("replace_ticket")
_EXTEND: Final = script("extend_tickets")
_PUT_REPORT: Final = script("put_report")
_READ_REPORTS: Final = script("read_reports")
_RECORD: Final = script("record_run")

_LEASE_FORGOTTEN_SECONDS: Final = 86_400.0
"""What is kept of a lease decides when it ends, by the time that tests move. The server's own expiry, by real time,
only clears what was left behind, so it comes much later."""

_MILLISECOND: Final = timedelta(milliseconds=1)
_SIGNALS_AT_ONCE: Final = 1_000
_MISSED: Final = Signal(fans_out=True, catalogue=True)
"""What is given when some signals may have been missed: the reader looks at everything that it cannot look up later."""


class RedisLeases(Leases):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def acquire(self, name: str, holder: str, seconds: float) -> int | None:
        span, forgotten = int(seconds * 1000), int((seconds + _LEASE_FORGOTTEN_SECONDS) * 1000)
        token: int | None = await self._engine.run(_ACQUIRE, name, holder, span, forgotten, repeat=True)
        return token

    async def release(self, name: str, holder: str) -> None:
        await self._engine.run(_RELEASE, name, holder, repeat=True)

    async def held(self, names: Collection[str]) -> frozenset[str]:
        return await self.held_under("") & frozenset(names)

    async def held_under(self, prefix: str) -> frozenset[str]:
        names = await self._engine.run(_HELD, repeat=True)
        return frozenset(name for name in map(bytes.decode, names) if name.startswith(prefix))


class RedisSignals(Signals):
    """Reads the stream of signals, to which the scripts of all processes write. Made by `open_signals`."""

    def __init__(self, engine: Engine, reader: Reader, last: int) -> None:
        """`last` is the number of the last signal that is not given any more."""
        self._keys = KeyNames(engine.prefix)
        self._clock = engine.clock
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
        """The first signal after the server was away."""
        newest = int(await self._reader.ask("HGET", self._keys.meta, "signals") or 0)
        # A server that was restored from an older copy has given fewer numbers. Waiting for one above the last that was
        # seen here would miss everything that it gives until then.
        self._last = min(self._last, newest)
        self._lost = False
        return _MISSED

    async def _read(self) -> Any:
        place = ("STREAMS", self._keys.signals, f"{self._last}-0")
        return await self._reader.ask("XREAD", "COUNT", _SIGNALS_AT_ONCE, "BLOCK", BLOCK_SECONDS * 1000, *place)

    def _merged(self, found: list[Any]) -> Signal:
        waits: dict[str, int] = {}
        numbers = [int(id_.partition(b"-")[0]) for id_, _ in found]
        # Numbers have no gaps: what is missing before the first was trimmed before it could be read.
        missed = numbers[0] > self._last + 1
        self._last = numbers[-1]
        names: set[str] = set()
        for _, values in found:
            # Kinds of signals that only a newer version knows are passed over.
            told = fields(values)
            names |= told.keys()
            for lane, wait in _waits(told):
                waits[lane] = min(wait, waits.get(lane, wait))
        at = self._clock.now()
        due = {lane: at + wait * _MILLISECOND if wait else None for lane, wait in waits.items()}
        return Signal(due, fans_out=missed or "fans_out" in names, catalogue=missed or "catalogue" in names)


def _waits(told: Mapping[str, bytes]) -> Iterable[tuple[str, int]]:
    """Lanes, and in how many milliseconds each has work; none where this cannot be read, which the sweep makes up for.

    A wait is counted from when it is read; what that finds too late, the sweep finds too. Signals of release 0.2.0 do
    not say when they were written, so their lanes are looked at.
    """
    try:
        due = unpack(told["due"]).items() if "due" in told else ()
        return [(str(lane), max(int(at) - int(told["now"]), 0) if "now" in told else 0) for lane, at in due]
    except READ_ERRORS:
        return ()


@asynccontextmanager
async def open_signals(engine: Engine) -> AsyncIterator[RedisSignals]:
    """The signals from now on."""
    reader = engine.reader()
    try:
        yield RedisSignals(engine, reader, int(await engine.ask("HGET", KeyNames(engine.prefix).meta, "signals") or 0))
    finally:
        await reader.close()


class RedisTickets(Tickets):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def put(self, digest: str, kept: bytes, seconds: float) -> None:
        await self._engine.run(_PUT, digest, kept, int(seconds * 1000), repeat=True)

    async def find(self, digest: str) -> bytes | None:
        found: bytes | None = await self._engine.run(_FIND, digest, repeat=True)
        return found

    async def replace(self, digest: str, former: bytes, kept: bytes, seconds: float) -> bool:
        return bool(await self._engine.run(_REPLACE, digest, former, kept, int(seconds * 1000), repeat=True))

    async def extend(self, kept: Mapping[str, bytes], seconds: float) -> frozenset[str]:
        asked = [part for pair in kept.items() for part in pair]
        extended = await self._engine.run(_EXTEND, int(seconds * 1000), *asked, repeat=True)
        return frozenset(map(bytes.decode, extended))


class RedisReports(Reports):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def put(self, name: str, report: bytes, seconds: float) -> None:
        await self._engine.run(_PUT_REPORT, name, report, int(seconds * 1000), repeat=True)

    async def told(self) -> Mapping[str, bytes]:
        return fields(await self._engine.run(_READ_REPORTS, repeat=True))


class RedisSchedules(Schedules):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = KeyNames(engine.prefix)

    async def record(self, name: str, run: bytes, token: int) -> bool:
        return bool(await self._engine.run(_RECORD, name, run, token, repeat=True))

    async def runs(self) -> Mapping[str, bytes]:
        return fields(await self._engine.ask("HGETALL", self._keys.schedules))
