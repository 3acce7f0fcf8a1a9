"""What passes by itself, or an operator can repair, is told apart from a defect."""

import apsw
import pytest

from hub.errors import HubError, Unavailable
from hub.stores.sqlite.database.errors import spoils_one, translate


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (apsw.FullError(), "The disk is full"),
        (apsw.BusyError(), "locked"),
        (apsw.LockedError(), "locked"),
        (apsw.InterruptError(), "longer than 5 s"),
        (apsw.CorruptError(), "restore"),
        (apsw.NotADBError(), "restore"),
        (apsw.IOError(), "look at its disk"),
        (apsw.ReadOnlyError(), "look at its disk"),
    ],
)
def test_trouble_with_the_database_may_pass_and_says_what_to_do(error: apsw.Error, words: str) -> None:
    translated = translate(error)
    assert isinstance(translated, Unavailable)
    assert words in translated.detail
    assert (translated.retry_after or 0) > 0
    assert not spoils_one(error)


@pytest.mark.parametrize(
    "kind", [apsw.ConstraintError, apsw.SQLError, apsw.RangeError, apsw.MismatchError, apsw.TooBigError]
)
def test_what_one_item_is_to_blame_for_spoils_no_other_and_shows_nothing_of_it(kind: type[apsw.Error]) -> None:
    translated = translate(kind("UNIQUE constraint failed: s3cret"))
    assert (type(translated), "s3cret" in translated.detail) == (HubError, False)
    assert spoils_one(kind())


def test_errors_of_the_library_itself_are_told_apart() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)")
    with pytest.raises(apsw.Error) as twice:
        connection.execute("INSERT INTO t VALUES (1)")
    assert spoils_one(twice.value)
    connection.close()
