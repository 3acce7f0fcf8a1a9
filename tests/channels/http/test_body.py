import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.http.body import Body, Chunked, Sized, Unbounded


def taken(body: Body, data: bytes, cuts: list[int]) -> tuple[bytes, bool, bool]:
    """What the body takes of `data`, cut at these places; whether it has ended, and soundly."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    read = b"".join(body.take(data[begin:end]) for begin, end in itertools.pairwise(places))
    return read, body.ended, body.is_sound


CHUNKED = [
    (b"2\r\nok\r\n0\r\n\r\n", b"ok", True, True),
    (b"2\nok\n0\n\n", b"ok", True, True),
    (b"1;a=b\r\no\r\n0001\r\nk\r\n000\r\n\r\n", b"ok", True, True),
    (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789", True, True),
    (b"2\r\nok\r\n0\r\nX: trailer\r\n\r\n", b"ok", True, False),
    (b"2\r\nok\r\n0\r\n\r\nmore", b"ok", True, False),
    (b"2\r\nok\r\n", b"ok", False, True),
    (b"2\r\nok\r\n0\r\n", b"ok", False, True),
    (b"2\r\nok\r\n-1\r\nx\r\n", b"ok", True, False),
    (b"2\r\nok\r\n1_0\r\nx\r\n", b"ok", True, False),
    (b"2\r\nok\r\nfffffffffffffffff\r\nx\r\n", b"ok", True, False),
    (b"2\r\nokno\r\n0\r\n\r\n", b"ok", True, False),
]


@pytest.mark.parametrize(("data", "body", "ended", "is_sound"), CHUNKED)
def test_chunks_are_read_and_what_breaks_their_rules_ends_them(
    data: bytes, body: bytes, ended: bool, is_sound: bool
) -> None:
    assert taken(Chunked(), data, []) == (body, ended, is_sound)


@given(st.sampled_from(CHUNKED), st.lists(st.integers(0, 100)))
def test_it_does_not_matter_where_chunks_are_cut(case: tuple[bytes, bytes, bool, bool], cuts: list[int]) -> None:
    data, body, ended, is_sound = case
    read, has_ended, ended_soundly = taken(Chunked(), data, cuts)
    assert (read, has_ended) == (body, ended)
    # Cut behind the first line after the last chunk, what follows comes when the body has ended already.
    assert ended_soundly == is_sound or ended


@given(st.binary(max_size=300), st.lists(st.integers(0, 300)))
def test_no_bytes_break_it(data: bytes, cuts: list[int]) -> None:
    read, _, _ = taken(Chunked(), data, cuts)
    assert len(read) <= len(data)


def test_a_size_that_never_ends_is_given_up() -> None:
    body = Chunked()
    for _ in range(100):
        body.take(b"0" * 100)
    assert body.ended
    assert not body.is_sound


def test_a_sized_body_ends_with_its_last_byte() -> None:
    assert taken(Sized(2), b"ok", [1]) == (b"ok", True, True)
    assert taken(Sized(2), b"okay", []) == (b"ok", True, False)
    assert taken(Sized(3), b"ok", []) == (b"ok", False, True)
    assert Sized(0).take(b"") == b""


def test_an_unbounded_body_never_ends_by_itself() -> None:
    assert taken(Unbounded(), b"ok", [1]) == (b"ok", False, True)
