"""The one thread that writes: it takes all waiting work, runs it as one transaction, and commits once for all.

See docs/decisions/0001.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar

import apsw

from hub.errors import HubError
from hub.failpoints import Failpoint
from hub.stores.group_commit import Backlog, Job, settle
from hub.stores.sqlite.database.errors import BUSY_SECONDS, spoils_one, translate
from hub.stores.sqlite.database.reserve import Reserve
from hub.stores.sqlite.database.timeline import Timeline
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.unreadable import Unreadable

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
Handler = Callable[[Transaction, Sequence[Item]], Sequence[Outcome | HubError]]
"""Does the work of all items, as if one after the other, and gives an outcome for each.

It decides before it writes, so an item whose outcome is an error has changed nothing.
"""

_CHECKPOINT_PAGES: Final = 2_000
_CHECKPOINT_PAGES_WHEN_FULL: Final = 200
_CHECKPOINT_WAIT_MS: Final = 500
_WAL_MAX_PAGES: Final = 10_000


_Work = tuple[Handler[Any, Any], Any]
"""A handler and the item that it writes."""
_Job = Job[_Work]
_Settled = tuple[list[tuple[_Job, Any]], int]
"""The outcome of every job, and the id of the last feed entry, 0 for none."""


class Writer:
    """Group commit without a pause: what is submitted while one group is written to disk makes the next group."""

    def __init__(
        self,
        connection: apsw.Connection,
        timeline: Timeline,
        reserve: Reserve,
        committed: Callable[[int], None],
        failpoint: Failpoint,
        unreadable: Unreadable | None = None,
    ) -> None:
        """`committed` is called in the event loop with the id of a group's last feed entry, before its callers wake."""
        self._unreadable = unreadable or Unreadable()
        self._failure: HubError | None = None
        self._connection = connection
        self._timeline = timeline
        self._reserve = reserve
        self._committed = committed
        self._failpoint = failpoint
        self._loop = asyncio.get_running_loop()
        self._backlog: Backlog[_Work] = Backlog("the disk")
        self._wal_pages = 0
        self._moved_pages = 0
        # The hook takes the place of SQLite's automatic checkpoint, which would run inside COMMIT while callers wait.
        connection.set_wal_hook(self._note_wal)
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> HubError | None:
        """Why not everything is written now; None while it is."""
        return self._failure if self._reserve.held else translate(apsw.FullError())

    def submit(
        self, handler: Handler[Item, Outcome], item: Item, *, rows: int = 1, vital: bool = False
    ) -> Coroutine[Any, Any, Outcome]:
        """The item's outcome, once it is on disk. While the disk is full, `vital` work uses the reserve.

        Raises what `Backlog.submit` raises.
        """
        return self._backlog.submit((handler, item), rows=rows, vital=vital)

    async def close(self) -> None:
        """Write what was submitted, then end the thread."""
        self._backlog.close()
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        while group := self._backlog.take(wait=True):
            outcomes, feed_id = self._write(group)
            self._loop.call_soon_threadsafe(self._settle, outcomes, feed_id)
            self._checkpoint()

    def _settle(self, outcomes: list[tuple[_Job, Any]], feed_id: int) -> None:
        # First the feed, so that a caller that has its outcome finds its entries there.
        if feed_id:
            self._committed(feed_id)
        settle(outcomes)

    def _write(self, group: list[_Job]) -> _Settled:
        # Without its reserve the disk was full. Each group tries to take it again, which is how the writer recovers.
        if not self._reserve.held and not self._reserve.take():
            return self._write_vital(group)
        return self._try(group)

    def _write_vital(self, group: list[_Job]) -> _Settled:
        """Write vital work, for which the reserve is kept, and refuse the rest."""
        outcomes, feed_id = self._try([job for job in group if job.vital])
        return [*outcomes, *((job, translate(apsw.FullError())) for job in group if not job.vital)], feed_id

    def _try(self, group: list[_Job]) -> _Settled:
        if not group:
            return [], 0
        try:
            return self._commit(group)
        except Exception as error:  # noqa: BLE001 - every job must get an answer, and the thread must live on
            return self._recover(group, error)

    def _recover(self, group: list[_Job], error: Exception) -> _Settled:
        """The outcomes of a group that was rolled back, after what can be tried again was."""
        if not isinstance(error, apsw.Error) or spoils_one(error):
            if len(group) > 1:
                # One item spoiled the transaction of all. Each is tried alone, so that only that one fails.
                parts = [self._try([job]) for job in group]
                return [pair for outcomes, _ in parts for pair in outcomes], max(feed_id for _, feed_id in parts)
            return [(group[0], translate(error) if isinstance(error, apsw.Error) else error)], 0
        self._failure = translate(error)
        if isinstance(error, apsw.FullError) and self._reserve.release():
            return self._write_vital(group)
        if isinstance(error, apsw.BusyError):
            group = group + self._backlog.drain()
        return [(job, translate(error)) for job in group], 0

    def _commit(self, group: list[_Job]) -> _Settled:
        by_handler: dict[Handler[Any, Any], list[_Job]] = {}
        for job in group:
            by_handler.setdefault(job.item[0], []).append(job)
        now, ahead = self._timeline.now(), self._timeline.ahead()
        transaction = Transaction(self._connection, now, ahead, self._unreadable)
        outcomes: list[tuple[_Job, Any]] = []
        # A deferred transaction that reads before it writes would fail when another process wrote in between.
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for handler, jobs in by_handler.items():
                outcomes += zip(jobs, handler(transaction, [job.item[1] for job in jobs]), strict=True)
            self._reach("before", by_handler)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        self._reach("after", by_handler)
        self._failure = None
        return outcomes, transaction.feed_id

    def _reach(self, moment: str, handlers: Iterable[Handler[Any, Any]]) -> None:
        """Pass the failpoints of a commit: `before_commit`, and for what is in it, such as `before_accept`."""
        for step in ("commit", *(handler.__name__.lstrip("_") for handler in handlers)):
            self._failpoint(f"{moment}_{step}")

    def _note_wal(self, connection: apsw.Connection, schema: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint(self) -> None:
        """Copy the write-ahead log into the database, after the callers of the commit have their answers.

        SQLite starts the log again from its beginning when all of it is copied and no reader needs it. When that has
        not happened for long, the writer waits for the readers.
        """
        grown = self._wal_pages - self._moved_pages if self._wal_pages >= self._moved_pages else self._wal_pages
        if grown < (_CHECKPOINT_PAGES if self._reserve.held else _CHECKPOINT_PAGES_WHEN_FULL):
            return
        mode = apsw.SQLITE_CHECKPOINT_TRUNCATE if self._wal_pages >= _WAL_MAX_PAGES else apsw.SQLITE_CHECKPOINT_PASSIVE
        try:
            # Shorter than for a transaction: a checkpoint that does not succeed harms nothing, but work waits for it.
            self._connection.set_busy_timeout(_CHECKPOINT_WAIT_MS)
            _, self._moved_pages = self._connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            # A reader needs the log. The next try comes when it has grown by as much again.
            self._moved_pages = self._wal_pages
        except apsw.Error as error:
            self._failure = translate(error)
        finally:
            self._connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
