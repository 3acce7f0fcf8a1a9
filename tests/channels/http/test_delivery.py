from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import SendFailed
from channels.http import excerpt, receipt, retry_after
from hub.testing.clock import START

SOON = START + timedelta(seconds=90)


def asked(*values: str | bytes) -> float | None:
    raw = [value if isinstance(value, bytes) else value.encode() for value in values]
    return retry_after(httpx.Response(503, headers=[(b"Retry-After", value) for value in raw]), START)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("00060", 60.0),
        ("1.5", 1.5),
        ("0.25", 0.25),
        (format_datetime(SOON, usegmt=True), 90.0),
        (SOON.strftime("%A, %d-%b-%y %H:%M:%S GMT"), 90.0),
        (SOON.strftime("%a %b %d %H:%M:%S %Y"), 90.0),
        (format_datetime(START - timedelta(days=1), usegmt=True), 0.0),
    ],
)
def test_seconds_and_all_three_date_forms_are_understood(value: str, seconds: float) -> None:
    assert asked(value) == seconds


@pytest.mark.parametrize(
    "value",
    [
        "",
        "-5",
        "+5",
        "1.",
        ".",
        ".5",
        "1.5.2",
        "NaN",
        "inf",
        "1e20",
        "soon",
        "١٢",
        "5 s",
        "Mon, 99 Foo 2026",
        "Mon, 23 Nov 2026 25:61:00 GMT",
    ],
)
def test_an_invalid_delay_is_ignored(value: str) -> None:
    assert asked(value) is None


@pytest.mark.parametrize("value", ["9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT", "100000000000000000000"])
def test_what_is_far_away_is_far_away_and_finite(value: str) -> None:
    seconds = asked(value)
    assert seconds is not None
    assert 10**10 < seconds < 10**13


def test_of_several_values_the_longest_counts() -> None:
    assert asked("7", "9") == 9.0
    assert asked("soon", "9") == 9.0
    assert asked("soon", "") is None


@given(st.binary(max_size=60))
def test_no_value_breaks_it(value: bytes) -> None:
    seconds = asked(value)
    assert seconds is None or 0 <= seconds < 10**13


def test_a_secret_is_masked_even_where_the_excerpt_ends() -> None:
    response = httpx.Response(200, content=b"x" * 4090 + b"canary-secret")
    kept = excerpt(response, ["canary-secret"])
    assert kept is not None
    assert "can" not in kept
    assert len(kept) <= 4096


def test_an_empty_answer_leaves_no_excerpt() -> None:
    assert excerpt(httpx.Response(204)) is None


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_a_receipt(status: int) -> None:
    assert receipt(httpx.Response(status), START).status_code == status


@pytest.mark.parametrize("status", [300, 304, 399, 999])
def test_an_odd_status_is_a_failure(status: int) -> None:
    with pytest.raises(SendFailed):
        receipt(httpx.Response(status), START)
