"""The database file as a whole, without a store around it: copied while a hub writes to it, and made smaller."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from hub.clock import Clock
from hub.errors import HubError
from hub.stores.sqlite.database.errors import translate
from hub.stores.sqlite.database.opening import connect, exclusive, migrations, prepare


def copy_database(source: Path, destination: Path) -> int:
    """Copy a database as it is at one instant, also while a hub writes to it; gives the number of its schema.

    The copy is on disk and free of errors when this returns. Raises `HubError`.
    """
    os.close(os.open(destination, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with _translated(), _connection(source, read_only=True) as reading, _connection(destination) as writing:
        with writing.backup("main", reading, "main") as backup:
            # In one step, which is one read transaction: https://www.sqlite.org/c3ref/backup_finish.html. Writers go on
            # beside it, because the database has a write-ahead log.
            backup.step(-1)
        # The copy is one file, until a hub opens it and turns the log on again.
        writing.pragma("journal_mode", "delete")
        if (verdict := writing.execute("PRAGMA quick_check(1)").get) != "ok":
            raise HubError(f"The database {source} is damaged ({verdict}): this copy of it is not a backup.")
        return int(writing.pragma("user_version"))


def compact_database(path: Path, clock: Clock) -> tuple[int, int]:
    """Give the free pages of a database back to the disk; gives its size in bytes before and after.

    It needs as much free space as the database has in use. Raises `HubError`, also while a hub has the database.
    """
    if not path.exists():
        raise HubError(f"There is no database at {path}.")
    with exclusive(path), _translated():
        connection = prepare(path, clock)
        try:
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            before = path.stat().st_size
            connection.execute("VACUUM")
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.close()
    return before, path.stat().st_size


def newest_schema() -> int:
    """The number of the schema that this version writes."""
    return len(migrations())


@contextmanager
def _connection(path: Path, *, read_only: bool = False) -> Iterator[apsw.Connection]:
    connection = connect(path, read_only=read_only)
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise translate(error) from error
