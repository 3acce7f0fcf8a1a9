"""Instants of requests are RFC 3339 with an offset, read as UTC, and nothing else is taken for one."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from hub.instants import Instant, parse_instant

EARLIEST, LATEST = (datetime(year, 6, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1, 9999))
OFFSETS = st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), st.integers(-23 * 60, 23 * 60))


class Form(BaseModel):
    at: Instant


@settings(deadline=None, max_examples=50)
@given(st.datetimes(EARLIEST, LATEST, timezones=OFFSETS))
def test_an_instant_is_the_same_in_whichever_offset_it_is_written(at: datetime) -> None:
    parsed = parse_instant(at.isoformat())
    assert (parsed, parsed.tzinfo) == (at, UTC)


@pytest.mark.parametrize(
    "text", ["2026-11-23T12:00:00Z", "2026-11-23t12:00:00z", "2026-11-23 13:00:00+01:00", "2026-11-23T12:00:00.000Z"]
)
def test_each_form_of_the_standard_is_read(text: str) -> None:
    assert parse_instant(text) == datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "text", ["2016-12-31T23:59:60Z", "2016-12-31T18:59:60-05:00", "2017-01-01T05:29:60+05:30", "2016-12-31t23:59:60z"]
)
def test_a_leap_second_is_the_second_after_it(text: str) -> None:
    assert parse_instant(text) == datetime(2017, 1, 1, tzinfo=UTC)


def test_a_fraction_of_a_leap_second_is_kept() -> None:
    assert parse_instant("2016-12-31T23:59:60.25Z") == datetime(2017, 1, 1, microsecond=250_000, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-11-23T12:00:00 01:00", "2026-11-23T12:00:00.5 01:00"])
def test_a_plus_that_a_url_made_a_space_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339.*write \+ as %2B"):
        parse_instant(text)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-11-23T12:00:00", "2026-11-23", "20261123T120000Z", "2026-11-23T12:00Z", "2026-W48-1T12:00:00Z", ""),
        *(
            "2026-11-23T12:00:60Z",
            "2016-12-31T23:59:61Z",
            "2016-12-31T23:59:60+01:00",
            "9999-12-31T23:59:60Z",
            "2026-02-30T12:00:00Z",
            "2026-11-23T12:00:00+25:00",
            "0001-01-01T00:00:00+01:00",
        ),
        *("2026-11-23T12:00:00Z ", "٢٠٢٦-11-23T12:00:00Z", 1_795_000_000, None, True),
    ],
)
def test_text_of_another_form_is_no_instant(text: object) -> None:
    with pytest.raises(ValueError, match="RFC 3339"):
        parse_instant(text)


def test_a_model_takes_an_instant_as_text_only() -> None:
    assert Form.model_validate({"at": "2026-11-23T12:00:00Z"}).at == datetime(2026, 11, 23, 12, tzinfo=UTC)
    with pytest.raises(ValidationError):
        Form.model_validate({"at": 1_795_000_000})
    assert Form.model_json_schema()["properties"]["at"] == {"format": "date-time", "title": "At", "type": "string"}
