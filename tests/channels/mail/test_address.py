import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.mail import InvalidAddress, Mailbox, header_text, parse_mailbox, without_repeats


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
        ("root@localhost", "", "root@localhost"),
        ("ops@corp.local", "", "ops@corp.local"),
        ("ops@mail.internal", "", "ops@mail.internal"),
        ("qa@shop.test", "", "qa@shop.test"),
        ("ann@[192.0.2.1]", "", "ann@[192.0.2.1]"),
        ("ann@[IPv6:2001:db8::1]", "", "ann@[IPv6:2001:db8::1]"),
        ('"ann smith"@example.com', "", '"ann smith"@example.com'),
        ('"a\\"b<c>, d@e"@example.com', "", '"a\\"b<c>, d@e"@example.com'),
        ('Ann <"ann smith"@example.com>', "Ann", '"ann smith"@example.com'),
    ],
)
def test_an_address_with_or_without_a_name_is_read(text: str, name: str, address: str) -> None:
    assert parse_mailbox(text) == Mailbox(name, address)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Bob <3 <ann@example.com>", "Bob <3"),
        ("Bob > Ann <ann@example.com>", "Bob > Ann"),
        ("Bob <bob@example.com> <ann@example.com>", "Bob <bob@example.com>"),
        ("Ann\x00 <ann@example.com>", "Ann"),
        ("A\x1bnn <ann@example.com>", "Ann"),
        ("Ann\r\nBcc: Eve <ann@example.com>", "Ann Bcc: Eve"),
        ("Ann \u202emoc.knab@ofni <ann@example.com>", "Ann moc.knab@ofni"),
        (
            "=?utf-8?q?Ann=0D=0ABcc=3A_eve=40example=2Ecom?= <ann@example.com>",
            "=utf-8?q?Ann=0D=0ABcc=3A_eve=40example=2Ecom?=",
        ),
        ("=?utf-8?b?a===?= <ann@example.com>", "=utf-8?b?a===="),
        ("\N{MAN}\u200d\N{PERSONAL COMPUTER} <ann@example.com>", "\N{MAN}\u200d\N{PERSONAL COMPUTER}"),
    ],
)
def test_an_odd_name_loses_the_character_and_not_the_mail(text: str, name: str) -> None:
    assert parse_mailbox(text) == Mailbox(name, "ann@example.com")


@pytest.mark.parametrize(
    "text",
    [
        *("", "ann", "@example.com", "ann@", "ann@example..com", "ann @example.com", "<>"),
        "ann@example.com, eve@example.com",
        "ann@example.com;eve@example.com",
        "ann@example.com eve@example.com",
        "Ann <ann@example.com>, Eve <eve@example.com>",
        "Ann <ann@example.com, eve@example.com>",
        "ann@example.com\r\nBcc: eve@example.com",
        *("ann@exam\x00ple.com", "an\x1bn@example.com", '"an\x00n"@example.com', '"an\r\nn"@example.com'),
        *("ann@[192.0.2.1", "ann@[192.0.2.1] ORCPT=x", "ann@[192.0.2.1\r\n]", "ann\u202e@example.com"),
        "ann@example.com> NOTIFY=NEVER <eve@example.com",
    ],
)
def test_what_is_not_exactly_one_address_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse_mailbox(text)
    assert "example" not in str(caught.value)


def test_a_line_break_in_header_text_is_a_blank() -> None:
    assert header_text("  Order\r\n 1001\tpaid ") == "Order 1001 paid"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        *(("a\x00b", "ab"), ("a\x1bb", "ab"), ("a\x7fb", "ab"), ("a\ud800b", "ab"), ("a \u202e b", "a b")),
        *(("=?utf-8?q?a=0Ab?=", "=utf-8?q?a=0Ab?="), ("=\0?utf-8?q?a=0D=0ABcc:_x?=", "=utf-8?q?a=0D=0ABcc:_x?=")),
    ],
)
def test_harmful_characters_in_header_text_are_left_out_also_when_encoded(text: str, kept: str) -> None:
    assert header_text(text) == kept


@pytest.mark.parametrize("text", ["=?utf-8?q?J=C3=BCrgen?=", "=?x-unknown?q?abc?=", "2 =? 3 ?="])
def test_harmless_encoded_words_pass(text: str) -> None:
    assert header_text(text) == text


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    for candidate in (text, f"{text} <ann@example.com>"):
        try:
            box = parse_mailbox(candidate)
        except InvalidAddress:
            continue
        assert "\n" not in str(box)
        assert "\r" not in str(box)
        assert not any(character < " " or "\x7f" <= character < "\xa0" for character in box.name)


@pytest.mark.parametrize(
    ("box", "text"),
    [
        (Mailbox("", "ann@example.com"), "ann@example.com"),
        (Mailbox("Ann Smith", "ann@example.com"), "Ann Smith <ann@example.com>"),
        (Mailbox('Ann "A", Dr.', "ann@example.com"), r'"Ann \"A\", Dr." <ann@example.com>'),
        (Mailbox("Ann", '"ann smith"@[192.0.2.1]'), 'Ann <"ann smith"@[192.0.2.1]>'),
    ],
)
def test_a_mailbox_is_written_as_providers_read_it(box: Mailbox, text: str) -> None:
    assert str(box) == text
    assert parse_mailbox(text) == box


def test_a_person_named_twice_is_kept_once() -> None:
    seen: set[str] = set()
    ann, ann_again, bob = Mailbox("", "ann@example.com"), Mailbox("Ann", "ANN@example.com"), Mailbox("", "bob@b.co")
    assert without_repeats([ann, ann_again], seen) == (ann,)
    assert without_repeats([ann_again, bob], seen) == (bob,)
