"""Instants as stores keep them: whole milliseconds since 1970 UTC."""

from datetime import UTC, datetime, timedelta
from typing import Final

from hub.models import Delivery, Status

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MILLISECOND


def milliseconds_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else milliseconds(instant)


def not_before(instant: datetime) -> int:
    """The first whole millisecond that is not earlier."""
    return -((_EPOCH - instant) // _MILLISECOND)


def not_before_or_none(instant: datetime | None) -> int | None:
    return None if instant is None else not_before(instant)


def wait_ms(delivery: Delivery) -> int | None:
    """For how many milliseconds a pending delivery waits from its last update; None for one that is not pending."""
    if delivery.status is not Status.PENDING:
        return None
    return max(-((delivery.updated_at - (delivery.next_attempt_at or delivery.updated_at)) // _MILLISECOND), 0)


def instant(value: int) -> datetime:
    return _EPOCH + value * _MILLISECOND


def instant_or_none(value: int | None) -> datetime | None:
    return None if value is None else instant(value)
