"""Instants as stores keep them: whole milliseconds since 1970 UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MILLISECOND


def milliseconds_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else milliseconds(instant)


def not_before(instant: datetime) -> int:
    """The first whole millisecond that is not earlier."""
    return -((_EPOCH - instant) // _MILLISECOND)


def instant(value: int) -> datetime:
    return _EPOCH + value * _MILLISECOND


def instant_or_none(value: int | None) -> datetime | None:
    return None if value is None else instant(value)
