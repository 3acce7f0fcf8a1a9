"""What a Content-Type tells of a payload, and that text comes back as the bytes that it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.http.content_type import decoded, encoded, is_json


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=utf-8",
        "application/vnd.shop+json",
        "text/json",
        "a/b+c+json ;x=y",
    ],
)
def test_json_is_known_by_its_subtype(content_type: str) -> None:
    assert is_json(content_type)


@pytest.mark.parametrize(
    "content_type", ["", "json", "text/plain", "application/jsonl", "application/json-seq", "a/b; c/json"]
)
def test_other_types_are_not_json(content_type: str) -> None:
    assert not is_json(content_type)


@pytest.mark.parametrize(
    ("content_type", "payload", "text"),
    [
        ("text/plain", "grüße\r\n".encode(), "grüße\r\n"),
        ("TEXT/HTML;Charset=ISO-8859-1", b"\xe9", "é"),
        ('text/csv; header=present; charset="utf-16-le"', "é".encode("utf-16-le"), "é"),
        ("application/xml", b"<a/>", "<a/>"),
        ("application/soap+xml; charset=utf-8", b"<a/>", "<a/>"),
        ("text/plain", b"", ""),
    ],
)
def test_text_is_read_in_its_charset(content_type: str, payload: bytes, text: str) -> None:
    assert decoded(payload, content_type) == text
    assert encoded(text, content_type) == (content_type, payload)


@pytest.mark.parametrize(
    ("content_type", "payload"),
    [
        *(("application/octet-stream", b"a"), ("", b"a"), ("image/svg", b"a"), ("text", b"a"), ("a/b; c/xml", b"a")),
        *(("text/plain", b"\xff"), ("text/plain; charset=nonsense", b"a"), ("text/plain; charset=base64", b"YQ==")),
        *(("text/plain; charset=utf-16", b"\xfe\xff\x00a"), ("text/plain; charset=punycode", b"a-")),
    ],
)
def test_what_is_not_text_or_would_come_back_changed_stays_bytes(content_type: str, payload: bytes) -> None:
    assert decoded(payload, content_type) is None


@pytest.mark.parametrize("charset", ["latin-1", "nonsense", "base64", "ascii"])
def test_text_that_its_charset_has_no_room_for_is_sent_in_utf_8_and_says_so(charset: str) -> None:
    assert encoded("€", f"text/plain; charset={charset}") == ("text/plain; charset=utf-8", "€".encode())


@given(
    st.binary(max_size=40),
    st.sampled_from(["utf-8", "utf-16", "utf-32-be", "ISO-8859-15", "cp1252", "shift_jis", "iso-2022-jp", "gb18030"]),
)
def test_whatever_is_read_as_text_comes_back_byte_for_byte(payload: bytes, charset: str) -> None:
    content_type = f"text/plain; charset={charset}"
    text = decoded(payload, content_type)
    assert text is None or encoded(text, content_type) == (content_type, payload)
