import itertools
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.http.answer import MAX_FIELD_BYTES, MAX_FIELDS, AnswerParser, NotHttp

OK = b"HTTP/1.1 200 OK\r\n"
Seen = tuple[int, list[tuple[bytes, bytes]], bytes, bool, bool]


def seen(*pieces: bytes, ends: bool = False, body_bytes: int = 1_000) -> Seen:
    """Status, fields and body of an answer in these pieces, whether it is complete, and its connection reusable."""
    answer = AnswerParser(body_bytes)
    for piece in pieces:
        if not answer.is_complete:
            answer.feed(piece)
    if ends:
        answer.end()
    return answer.status, answer.fields, bytes(answer.body), answer.is_complete, answer.is_reusable


@pytest.mark.parametrize(
    ("head", "body", "is_complete", "is_reusable"),
    [
        (OK + b"Content-Length: 2\r\n\r\n", b"ok", True, True),
        (OK + b"Content-Length: 2, 2\r\n\r\n", b"ok", True, True),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nok\r\n0\r\n\r\n", True, True),
        (OK + b"Content-Length: 2\r\nConnection: close\r\n\r\n", b"ok", True, False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n", b"ok", True, False),
        (OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n", b"ok", False, False),
        (OK + b"Content-Length: two\r\n\r\n", b"ok", False, False),
        (OK + b"\r\n", b"ok", False, False),
        (OK + b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n", b"2\r\nok\r\n0\r\n\r\n", True, False),
    ],
)
def test_the_body_ends_where_the_fields_say(head: bytes, body: bytes, is_complete: bool, is_reusable: bool) -> None:
    status, _, read, *rest = seen(head, body)
    assert (status, read) == (200, b"ok")
    assert rest == [is_complete, is_reusable]


@pytest.mark.parametrize("status", [101, 204, 304])
def test_some_answers_have_no_body_whatever_they_say(status: int) -> None:
    line = b"HTTP/1.1 %d Odd\r\nContent-Length: 2\r\n\r\n" % status
    assert seen(line) == (status, [(b"Content-Length", b"2")], b"", True, status != 101)
    assert seen(line + b"ok")[2:] == (b"", True, False)


def test_a_body_is_cut_at_its_limit() -> None:
    assert seen(OK + b"Content-Length: 99\r\n\r\n", b"x" * 50, body_bytes=10)[2:] == (b"x" * 10, True, False)


def test_fields_over_a_limit_are_left_out() -> None:
    long = b"X: " + b"a" * MAX_FIELD_BYTES
    assert seen(OK + long + b"\r\nY: z\r\nContent-Length: 0\r\n\r\n")[1] == [(b"Y", b"z"), (b"Content-Length", b"0")]
    many = b"Y: z\r\n" * (MAX_FIELDS + 5)
    status, fields, _, is_complete, is_reusable = seen(OK + many + b"Content-Length: 0\r\n\r\n")
    assert (status, len(fields), is_complete, is_reusable) == (200, MAX_FIELDS, True, False)


def test_what_has_come_is_the_answer_when_nothing_more_comes() -> None:
    assert seen(OK + b"Retry-After: 7\r\nX: ha", ends=True) == (200, [(b"Retry-After", b"7")], b"", True, False)
    assert seen(OK + b"Content-Length: 9\r\n\r\n", b"ok", ends=True)[2:] == (b"ok", True, False)
    assert seen(b"HTTP/1.1 503", ends=True)[0] == 503
    assert not seen(b"HTTP/1.1 50", ends=True)[3]
    assert not seen(b"HTTP/1.1 100 Continue\r\n\r\n", ends=True)[3]


WHOLE = [
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok",
    OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
    b"\r\nHTTP/1.1 204\n\n",
]


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 200)))
def test_it_does_not_matter_where_an_answer_is_cut(whole: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(whole), *(cut % len(whole) for cut in cuts)})
    assert seen(*(whole[a:b] for a, b in itertools.pairwise(places))) == seen(whole)


@given(st.sampled_from([b"", OK, OK + b"Transfer-Encoding: chunked\r\n\r\n"]), st.lists(st.binary(max_size=80)))
def test_no_bytes_break_it_and_none_change_a_status(begin: bytes, pieces: list[bytes]) -> None:
    answer = AnswerParser(1_000)
    with suppress(NotHttp):
        for piece in [begin, *pieces]:
            answer.feed(piece)
    answer.end()
    if begin:
        assert (answer.status, answer.is_complete) == (200, True)
