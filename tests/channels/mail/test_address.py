import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail import InvalidText, Mailbox, header_text, parse_mailbox, without_repeats


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("ann@example.com", "", "ann@example.com"),
        (" ann@example.com ", "", "ann@example.com"),
        ("<ann@example.com>", "", "ann@example.com"),
        ("Ann <ann@example.com>", "Ann", "ann@example.com"),
        ("Acme Inc. <ann@example.com>", "Acme Inc.", "ann@example.com"),
        ('"Ann, Dr. \\"A\\"" <ann@example.com>', 'Ann, Dr. "A"', "ann@example.com"),
        ("Jürgen <ann@example.com>", "Jürgen", "ann@example.com"),
        ("ann@bücher.example.com", "", "ann@xn--bcher-kva.example.com"),
        ("jürgen@example.com", "", "jürgen@example.com"),
        ("ann+tag@example.com", "", "ann+tag@example.com"),
    ],
)
def test_an_address_with_or_without_a_name_is_read(text: str, name: str, address: str) -> None:
    assert parse_mailbox(text) == Mailbox(name, address)


@pytest.mark.parametrize(
    "text",
    [
        *("", "ann", "@example.com", "ann@", "ann@example", "ann@example..com", "ann @example.com", "<>"),
        "ann@example.com, eve@example.com",
        "ann@example.com;eve@example.com",
        "ann@example.com eve@example.com",
        "Ann <ann@example.com>, Eve <eve@example.com>",
        "Ann <ann@example.com, eve@example.com>",
        "ann@example.com\r\nBcc: eve@example.com",
        "Ann\x00 <ann@example.com>",
        "=?utf-8?q?Ann=0D=0ABcc=3A_eve=40example=2Ecom?= <ann@example.com>",
        "=?utf-8?b?QW5uDQpCY2M6IGV2ZUBleGFtcGxlLmNvbQ==?= <ann@example.com>",
        "=?utf-8?b?a===?= <ann@example.com>",
        "Ann\x1b <ann@example.com>",
        "ann@[127.0.0.1]",
    ],
)
def test_what_is_not_exactly_one_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidText) as caught:
        parse_mailbox(text)
    assert "example" not in str(caught.value)


def test_a_line_break_in_header_text_is_a_blank() -> None:
    assert header_text("  Order\r\n 1001\tpaid ") == "Order 1001 paid"


@pytest.mark.parametrize(
    "text", ["a\x00b", "a\x1bb", "a\x7fb", "=?utf-8?q?a=0Ab?=", "=?utf-8?q?a=0D=0ABcc:_x?=", "\ud800"]
)
def test_control_characters_in_header_text_are_refused_also_when_encoded(text: str) -> None:
    with pytest.raises(InvalidText):
        header_text(text)


@pytest.mark.parametrize("text", ["=?utf-8?q?J=C3=BCrgen?=", "=?x-unknown?q?abc?=", "2 =? 3 ?="])
def test_harmless_encoded_words_pass(text: str) -> None:
    assert header_text(text) == text


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    for candidate in (text, f"{text} <ann@example.com>"):
        try:
            box = parse_mailbox(candidate)
        except InvalidText:
            continue
        assert "\n" not in str(box)
        assert "\r" not in str(box)
        assert not any(character < " " or "\x7f" <= character < "\xa0" for character in box.name)


def test_a_person_named_twice_is_kept_once() -> None:
    seen: set[str] = set()
    ann, ann_again, bob = Mailbox("", "ann@example.com"), Mailbox("Ann", "ANN@example.com"), Mailbox("", "bob@b.co")
    assert without_repeats([ann, ann_again], seen) == (ann,)
    assert without_repeats([ann_again, bob], seen) == (bob,)
