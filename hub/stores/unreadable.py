"""Stored things that this version of the hub cannot read: told once each, and counted."""

from collections import Counter
from datetime import datetime
from typing import Final

import structlog

from hub.models import Event

READ_ERRORS: Final = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What reading raises where a stored thing has another form than this version knows. See docs/decisions/0026."""
FOREIGN_EVENT: Final = "the stored event cannot be read by this version of the hub"
"""The reason with which deliveries of such an event end."""
_TOLD: Final = 10_000
"""How many things are remembered as told."""
_log = structlog.get_logger("hub.store")


def placeholder(id_: str, tenant: str, type_: str, at: datetime) -> Event:
    """What stands in for an event whose stored form is gone, damaged or unreadable."""
    return Event(id=id_, tenant=tenant, type=type_, source="", time=at, data=b"null", accepted_at=at)


class Unreadable:
    """Keeps account of what was passed over because it cannot be read. One belongs to each process.

    Example:

        unreadable = Unreadable()
        try:
            int("tomorrow")
        except READ_ERRORS as error:
            unreadable.note("task", "tsk_1", error)
        unreadable.total  # 1
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._told: set[tuple[str, str]] = set()

    @property
    def total(self) -> int:
        """How many different things could not be read since the start."""
        return self._counts.total()

    def note(self, kind: str, id_: str, error: BaseException | str) -> None:
        """This thing was passed over. It is written to the log and counted the first time; lists that are read again
        and again would fill the log otherwise."""
        if (kind, id_) in self._told:
            return
        if len(self._told) >= _TOLD:
            self._told.clear()
        self._told.add((kind, id_))
        self._counts[kind] += 1
        # The name of the error alone: its text may hold what was stored.
        reason = error if isinstance(error, str) else type(error).__name__
        _log.error("stored.unreadable", kind=kind, id=id_, reason=reason)
