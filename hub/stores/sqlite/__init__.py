"""The embedded store: one SQLite file, one process, one writing thread that commits for many at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from hub.clock import Clock
from hub.errors import HubError
from hub.stores.base import Store
from hub.stores.options import StoreOptions
from hub.stores.process import ProcessLeases, ProcessReports, ProcessSchedules, ProcessSignals
from hub.stores.sqlite.archive import SqliteArchive
from hub.stores.sqlite.changes import SqliteEventChanges
from hub.stores.sqlite.clock import SqliteClock, read_mark
from hub.stores.sqlite.database.opening import connect, exclusive, prepare
from hub.stores.sqlite.database.readers import Readers
from hub.stores.sqlite.database.reserve import Reserve
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.writer import Writer
from hub.stores.sqlite.feed import SqliteFeed, read_bounds
from hub.stores.sqlite.intake import SqliteIntake
from hub.stores.sqlite.queue import SqliteQueue, leased
from hub.stores.sqlite.records import SqliteRecords
from hub.stores.sqlite.tasks import SqliteTasks
from hub.stores.sqlite.tickets import SqliteTickets
from hub.stores.sqlite.transfer import SqliteTransfer
from hub.stores.sqlite.upkeep import SqliteUpkeep

_ARCHIVE_READERS = 2
_FOR_ONE_PROCESS = (
    "This store is for one process: run `hub serve`, which plays every role. For `hub web`, `hub worker` and"
    " `hub scheduler` set HUB_STORE_URL to a redis:// address."
)


def _path(url: str) -> Path:
    address = url.removeprefix("sqlite://")
    if not address.startswith("/") or not address[1:]:
        raise HubError("The address of an SQLite store is sqlite:///relative/path or sqlite:////absolute/path.")
    return Path(address[1:])


@asynccontextmanager
async def open_sqlite(url: str, clock: Clock, options: StoreOptions) -> AsyncIterator[Store]:
    """The store in the file of a URL: `sqlite:///relative/path`, `sqlite:////absolute/path`."""
    path = _path(url)
    if options.shared:
        raise HubError(_FOR_ONE_PROCESS)
    # Closed in the opposite order: first the writer, which ends what was submitted, then the feed, the readers and the
    # connection, and the lock last, so that another hub never finds a file that this one still writes.
    async with AsyncExitStack() as stack:
        stack.enter_context(exclusive(path))
        connection = await asyncio.to_thread(prepare, path, clock)
        stack.callback(connection.close)
        timeline = Timeline(clock, read_mark(connection))
        # The dispatcher and the live stream read small things often; a slow list of the archive must not hold them up.
        live = Readers("store-live", [connect(path, read_only=True)], clock)
        stack.push_async_callback(live.close)
        history = Readers(
            "store-history", [connect(path, read_only=True) for _ in range(_ARCHIVE_READERS)], clock, snapshots=True
        )
        stack.push_async_callback(history.close)
        reserve = Reserve(path.with_suffix(".reserve"))
        feed = SqliteFeed(live, read_bounds(connection)[1])
        stack.callback(feed.close)
        writer = Writer(connection, timeline, reserve, feed.announce, options.failpoint, options.unreadable)
        stack.push_async_callback(writer.close)
        yield Store(
            shared=False,
            intake=SqliteIntake(writer, live, timeline, options.unreadable),
            queue=SqliteQueue(writer, live, clock, timeline, options.random, leased(connection)),
            archive=SqliteArchive(history, timeline, options.unreadable),
            changes=SqliteEventChanges(writer, live),
            feed=feed,
            records=SqliteRecords(writer, live),
            tasks=SqliteTasks(writer, history, options.unreadable),
            upkeep=SqliteUpkeep(writer, history),
            clock=SqliteClock(writer, live, timeline),
            signals=ProcessSignals(),
            leases=ProcessLeases(clock),
            reports=ProcessReports(clock),
            tickets=SqliteTickets(writer, live, timeline),
            schedules=ProcessSchedules(),
            transfer=SqliteTransfer(writer, history, timeline),
        )
