"""A media type is told from its header whatever its case and parameters."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.media_types import JSON, media_type


@pytest.mark.parametrize(
    "header", ["application/json", "Application/JSON", " application/json ;charset=utf-8", "application/json;"]
)
def test_case_blanks_and_parameters_do_not_count(header: str) -> None:
    assert media_type(header) == JSON


@pytest.mark.parametrize("header", [None, "", ";charset=utf-8"])
def test_without_a_type_there_is_none(header: str | None) -> None:
    assert media_type(header) == ""


@settings(deadline=None, max_examples=50)
@given(st.text())
def test_no_header_breaks_it_and_a_type_stays_what_it_is(header: str) -> None:
    assert media_type(media_type(header)) == media_type(header)
