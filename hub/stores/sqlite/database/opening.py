"""The database file: locked for this process, examined, migrated to the newest schema, opened."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Final

import apsw

from hub.clock import Clock
from hub.errors import Unavailable
from hub.stores.sqlite.database.errors import BUSY_SECONDS, translate

APPLICATION_ID: Final = 0x6E687562
"""`nhub`: marks the databases of this program, https://www.sqlite.org/pragma.html#pragma_application_id."""
EXAMINE_SECONDS: Final = 1.0
_WAL_MAX_BYTES: Final = 64 * 1024 * 1024
_WRITER_CACHE_KIB: Final = 16_384
_READER_CACHE_KIB: Final = 4_096


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Lock the database at `path` against other processes of the hub. Raises `Unavailable` while one has it."""
    # A file of its own, because closing any descriptor of the database file would release the locks that SQLite has on
    # it in this process: https://www.sqlite.org/howtocorrupt.html, 2.2.
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise _unreachable(path, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise Unavailable(
                f"The database {path} is in use by another hub (process {holder}). Stop that one, or give this one"
                " a HUB_DATA_DIR of its own; for several processes use a redis:// store."
            ) from None
        # For the message above. The lock itself ends with the descriptor, also when the process is killed.
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def connect(path: Path, *, read_only: bool = False) -> apsw.Connection:
    """A connection to the database that `prepare` has prepared."""
    flags = apsw.SQLITE_OPEN_READONLY if read_only else apsw.SQLITE_OPEN_READWRITE
    connection = apsw.Connection(str(path), flags=flags)
    connection.set_busy_timeout(int(BUSY_SECONDS * 1000))
    connection.pragma("temp_store", "memory")
    connection.pragma("cache_size", -(_READER_CACHE_KIB if read_only else _WRITER_CACHE_KIB))
    if not read_only:
        connection.pragma("synchronous", "full")
        connection.pragma("journal_size_limit", _WAL_MAX_BYTES)
    return connection


def prepare(path: Path, clock: Clock) -> apsw.Connection:
    """Create, examine and migrate the database, and give the connection for writing. Raises `Unavailable`."""
    try:
        new = _create(path)
        connection = connect(path)
        try:
            if not new:
                _identify(connection, path)
                _examine(connection, path, clock)
            # It is kept in the file, so it must not change before the file is known to be the hub's own and intact.
            connection.pragma("journal_mode", "wal")
            _migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    except OSError as error:
        raise _unreachable(path, error) from error
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise _damaged(path) from error
    except apsw.Error as error:
        raise translate(error) from error
    return connection


def _create(path: Path) -> bool:
    """Create an empty file that only its owner can read, and tell whether the database is new."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        os.fchmod(descriptor, 0o600)
        new = os.fstat(descriptor).st_size == 0
    finally:
        os.close(descriptor)
    if new:
        # A power cut must not take the name of the file with it.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return new


def _identify(connection: apsw.Connection, path: Path) -> None:
    if connection.pragma("application_id") not in (0, APPLICATION_ID) or (
        connection.pragma("application_id") == 0 and connection.execute("SELECT count(*) FROM sqlite_schema").get
    ):
        raise Unavailable(f"{path} is the database of another program; give the hub a HUB_DATA_DIR of its own.")


def _examine(connection: apsw.Connection, path: Path, clock: Clock) -> None:
    """Look for damage for at most `EXAMINE_SECONDS`, enough for some hundred megabytes; `hub doctor` reads all."""
    deadline = clock.monotonic() + EXAMINE_SECONDS
    connection.set_progress_handler(lambda: clock.monotonic() > deadline, 1_000)
    try:
        verdict = connection.execute("PRAGMA quick_check(1)").get
    except apsw.InterruptError:
        return
    finally:
        connection.set_progress_handler(None)
    if verdict != "ok":
        raise _damaged(path)


def _unreachable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"The database {path} cannot be opened: {error.strerror}. HUB_DATA_DIR must be a writable folder."
    )


def _damaged(path: Path) -> Unavailable:
    return Unavailable(
        f"The database {path} is damaged. Move it away together with {path.name}-wal and {path.name}-shm and put a"
        " backup in its place; what can be saved from the damaged one, `sqlite3 hub.db .recover` saves."
    )


def migrations() -> list[Traversable]:
    """The steps from each schema to the next, in order; the first creates it."""
    steps = (files("hub.stores.sqlite") / "migrations").iterdir()
    return sorted((step for step in steps if step.name.endswith(".sql")), key=lambda step: step.name)


def _migrate(connection: apsw.Connection, path: Path) -> None:
    steps = migrations()
    version = connection.pragma("user_version")
    if version > len(steps):
        raise Unavailable(
            f"{path} was written by a newer version of the hub (schema {version}, this one knows {len(steps)});"
            " install that version again, or restore the backup from before it."
        )
    for number, step in enumerate(steps[version:], start=version + 1):
        # The number is committed with the step, so a process that is killed in between repeats nothing.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(step.read_text(encoding="utf-8")).fetchall()
        connection.pragma("application_id", APPLICATION_ID)
        connection.pragma("user_version", number)
        connection.execute("COMMIT")
