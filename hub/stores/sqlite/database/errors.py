"""SQLite's errors as errors of the hub."""

import apsw

from hub.errors import HubError, Unavailable

BUSY_SECONDS = 5.0
"""How long a transaction waits for another process's lock."""
READ_SECONDS = 5.0
"""How long one read may take, because a checkpoint waits for every reader."""


def translate(error: apsw.Error) -> HubError:
    """`Unavailable` for what passes by itself or an operator can repair; `HubError` for a defect of the hub."""
    match error:
        case apsw.FullError():
            return Unavailable(
                "The disk is full, so nothing new is stored; it goes on by itself once there is space.",
                retry_after=10.0,
            )
        case apsw.BusyError() | apsw.LockedError():
            return Unavailable("Another process holds the database locked; try again.", retry_after=2.0)
        case apsw.InterruptError():
            return Unavailable(f"Reading took longer than {READ_SECONDS:g} s; ask for less.", retry_after=5.0)
        case apsw.CorruptError() | apsw.NotADBError():
            return Unavailable(
                "The database is damaged; stop the hub and restore the database from a backup.", retry_after=60.0
            )
        # These show a defect: everything that comes from outside is checked before.
        case apsw.ConstraintError() | apsw.SQLError() | apsw.RangeError() | apsw.MismatchError() | apsw.TooBigError():
            return HubError("The store refused what it was given.")
        case _:
            return Unavailable("The database cannot be read or written; look at its disk.", retry_after=5.0)


def spoils_one(error: apsw.Error) -> bool:
    """Whether the error lies in one item, not in the database: other items of its group may succeed."""
    return not isinstance(translate(error), Unavailable)
