"""The database file is copied and made smaller as a whole."""

import stat
from pathlib import Path

import apsw
import pytest

from hub.clock import SystemClock
from hub.errors import HubError, Unavailable
from hub.stores.sqlite.database.opening import prepare
from hub.stores.sqlite.database.snapshot import compact_database, copy_database, newest_schema


@pytest.fixture
def database(tmp_path: Path) -> Path:
    prepare(tmp_path / "hub.db", SystemClock()).close()
    return tmp_path / "hub.db"


def test_a_copy_is_one_private_file_with_the_same_schema(database: Path, tmp_path: Path) -> None:
    assert copy_database(database, tmp_path / "copy.db") == newest_schema()
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert not list(tmp_path.glob("copy.db-*"))
    connection = apsw.Connection(str(tmp_path / "copy.db"), flags=apsw.SQLITE_OPEN_READONLY)
    assert connection.pragma("user_version") == newest_schema()
    connection.close()


def test_nothing_is_overwritten(database: Path, tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(FileExistsError):
        copy_database(database, tmp_path / "copy.db")


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hub.db").write_bytes(b"\xa5" * 8192)
    with pytest.raises(Unavailable, match="damaged"):
        copy_database(tmp_path / "hub.db", tmp_path / "copy.db")
    with pytest.raises(HubError, match="damaged"):
        compact_database(tmp_path / "hub.db", SystemClock())


def test_free_pages_are_given_back(database: Path) -> None:
    connection = apsw.Connection(str(database))
    connection.execute("CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(4000000)); DROP TABLE t").fetchall()
    connection.close()
    before, after = compact_database(database, SystemClock())
    assert after < 1_000_000 < before
