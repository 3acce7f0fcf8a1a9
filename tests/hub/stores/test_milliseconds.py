"""Instants are kept to the millisecond."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.stores.milliseconds import instant, milliseconds, not_before


@settings(deadline=None, database=None)
@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_are_kept_to_the_millisecond_and_are_never_due_early(at: datetime) -> None:
    kept = instant(milliseconds(at))
    assert timedelta(0) <= at - kept < timedelta(milliseconds=1)
    assert kept.microsecond % 1000 == 0
    if at < datetime.max.replace(microsecond=999_000, tzinfo=UTC):
        assert timedelta(0) <= instant(not_before(at)) - at < timedelta(milliseconds=1)
