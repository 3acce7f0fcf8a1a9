import socket
import threading
from contextlib import suppress
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from channels.mail import Mail, Mailbox, Progress, header_text, inlined
from channels.mail.message import to_bytes
from tests.channels.mail.mails import MAIL, mail


def parsed(sample: Mail) -> EmailMessage:
    message = message_from_bytes(to_bytes(sample), policy=SMTP)
    assert isinstance(message, EmailMessage)
    assert message.defects == []
    return message


def test_text_and_html_are_alternatives() -> None:
    message = parsed(MAIL)
    assert message.get_content_type() == "multipart/alternative"
    text, html = message.iter_parts()
    assert (text.get_content_type(), text.get_content().strip()) == ("text/plain", MAIL.text)
    assert (html.get_content_type(), html.get_content().strip()) == ("text/html", MAIL.html)


@pytest.mark.parametrize(("text", "html", "kind"), [("a", "", "text/plain"), ("", "<p>a", "text/html")])
def test_one_form_alone_is_the_whole_message(text: str, html: str, kind: str) -> None:
    assert parsed(mail(text=text, html=html)).get_content_type() == kind


def test_the_headers_say_who_when_and_that_a_machine_wrote_it() -> None:
    message = parsed(MAIL)
    assert message["From"].addresses == (Address("The Shop", addr_spec="shop@example.com"),)
    assert message["To"].addresses == (Address("Jürgen, Dr.", addr_spec="ann@example.com"),)
    assert message["Cc"] == "cc@example.com"
    assert message["Bcc"] is None
    assert message["Reply-To"] == "help@example.com"
    assert message["Subject"] == MAIL.subject
    assert message["Date"].datetime == MAIL.sent_at
    assert message["Message-ID"] == "<dlv_1@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert b"bcc@example.com" not in to_bytes(MAIL)


def test_an_https_link_to_unsubscribe_works_with_one_click() -> None:
    message = parsed(MAIL)
    assert message["List-Unsubscribe"] == "<https://example.com/u?id=1>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


@pytest.mark.parametrize("url", ["http://example.com/u", "mailto:u@example.com"])
def test_another_link_to_unsubscribe_is_only_named(url: str) -> None:
    message = parsed(mail(unsubscribe_url=url))
    assert message["List-Unsubscribe"] == f"<{url}>"
    assert message["List-Unsubscribe-Post"] is None


def test_a_long_link_to_unsubscribe_stays_in_one_piece() -> None:
    url = "https://example.com/" + "abcdefghij" * 40
    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in to_bytes(mail(unsubscribe_url=url))


def test_a_long_subject_is_folded_and_comes_back_whole() -> None:
    subject = "Bestätigung für Jürgen " * 11
    raw = to_bytes(mail(subject=subject.strip()))
    assert all(len(line) <= 78 for line in raw.split(b"\r\n\r\n")[0].split(b"\r\n") if b"Unsubscribe" not in line)
    assert parsed(mail(subject=subject.strip()))["Subject"] == subject.strip()


@given(st.text(max_size=200))
def test_no_subject_becomes_a_header(text: str) -> None:
    subject = header_text(text)
    message = message_from_bytes(to_bytes(mail(subject=subject)), policy=SMTP)
    assert [name for name in message if name not in {"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}] == [
        *("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("List-Unsubscribe", "List-Unsubscribe-Post"),
    ]


NAMES = st.text(max_size=128) | st.text(alphabet='"\\,;:<>()[]@.=?_ aü', max_size=128)


@example(["0\N{LINEAR B SYLLABLE B008 A}", "0\N{LINEAR B SYLLABLE B008 A}", ""])
@given(st.lists(NAMES, min_size=1, max_size=3))
def test_no_name_adds_or_changes_an_address(names: list[str]) -> None:
    boxes = tuple(Mailbox(header_text(name), f"{n}@example.com") for n, name in enumerate(names))
    message = message_from_bytes(to_bytes(mail(to=boxes, cc=())), policy=SMTP)
    assert [str(address.addr_spec) for address in message["To"].addresses] == [box.address for box in boxes]
    assert message["Cc"] is None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1, max_size=500))
def test_no_body_breaks_the_message(text: str) -> None:
    raw = to_bytes(mail(text=text, html=f"<p>{text}</p>"))
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))


@pytest.mark.parametrize(
    "text",
    [
        *(".\n..\n.hidden\nend", "y" * 5_000, "a\rb\nc\r\nd", "From me\n>From", "a\x00b\x07", "a\u2028b\x85c"),
        *("=20 = =?", "a \nb\t\n", "🎉" * 500),
    ],
)
def test_what_was_written_arrives_in_lines_that_every_server_takes(text: str) -> None:
    raw = to_bytes(mail(text=text, html=""))
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    shown = parsed(mail(text=text, html="")).get_content().replace("\r\n", "\n")
    assert shown.rstrip("\n") == text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")


def test_an_address_beyond_ascii_is_written_as_utf_8() -> None:
    sample = mail(to=(Mailbox("", "jürgen@example.com"),))
    assert sample.is_international
    assert "To: jürgen@example.com".encode() in to_bytes(sample)
    assert not MAIL.is_international


def test_replies_to_an_address_beyond_ascii_need_smtputf8_too() -> None:
    assert mail(reply_to=Mailbox("", "jürgen@example.com")).is_international


def test_without_smtputf8_those_who_need_it_are_left_out() -> None:
    ann, juergen = MAIL.to[0], Mailbox("", "jürgen@example.com")
    kept = mail(to=(ann, juergen), cc=(juergen,)).in_ascii()
    assert kept is not None
    assert kept.recipients == ("ann@example.com", "bcc@example.com")
    assert to_bytes(kept).isascii()
    assert mail(to=(juergen,), cc=(), bcc=()).in_ascii() is None
    assert mail(reply_to=juergen).in_ascii() is None


@pytest.mark.parametrize(
    ("taken", "to", "cc", "bcc"),
    [
        ((), ["ann@example.com"], ["cc@example.com"], ["bcc@example.com"]),
        (("cc@example.com",), ["ann@example.com"], [], ["bcc@example.com"]),
        (("ann@example.com",), ["cc@example.com"], [], ["bcc@example.com"]),
        (("ann@example.com", "cc@example.com"), ["bcc@example.com"], [], []),
    ],
)
def test_the_missing_are_those_who_do_not_have_it(
    taken: tuple[str, ...], to: list[str], cc: list[str], bcc: list[str]
) -> None:
    whole = mail(progress=Progress(frozenset(taken)))
    kept = whole.to_only(whole.missing)
    assert [[box.address for box in boxes] for boxes in (kept.to, kept.cc, kept.bcc)] == [to, cc, bcc]


def test_every_line_of_a_header_is_short_where_it_can_be_folded() -> None:
    boxes = tuple(
        Mailbox("A name that is as long as many names are", f"p{n}@department.example.com") for n in range(50)
    )
    raw = to_bytes(mail(subject="an order of tea " * 15, to=boxes, unsubscribe_url=None))
    headers = raw.split(b"\r\n\r\n")[0].split(b"\r\n")
    assert max(map(len, headers)) <= 78
    assert message_from_bytes(raw, policy=SMTP)["Subject"] == ("an order of tea " * 15).strip()


@pytest.mark.parametrize(
    "html",
    [
        "<style>div { color: red }</style>" + "<table><td>" * 3_000,
        "<style>div { color: red }</style>" + "<svg><title><div></b>" * 5_000,
        f"<style>{'i { color: red }' * 3_000}</style>{'<i>a</i>' * 10_000}",
    ],
    ids=["nested", "nested with closing tags between", "too many rules"],
)
def test_html_that_would_end_or_hold_up_the_process_stays_as_it_is(html: str) -> None:
    assert inlined(html) == html


def test_style_rules_become_attributes_and_media_queries_stay() -> None:
    style = "<style>p { color: red } @media print { p { color: black } }</style>"
    html = f"<html><head>{style}</head><body><p>x</p></body></html>"
    out = inlined(html)
    assert '<p style="color: red' in out
    assert "@media print" in out


def test_no_style_sheet_is_fetched() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        visits: list[object] = []

        def answer() -> None:
            with suppress(OSError):
                connection, visitor = server.accept()
                visits.append(visitor)
                connection.close()

        threading.Thread(target=answer, daemon=True).start()
        link = f'<link rel="stylesheet" href="http://127.0.0.1:{server.getsockname()[1]}/a.css">'
        assert "<p style=" in inlined(f"<html><head><style>p{{margin:0}}</style>{link}</head><p>x</p></html>")
        assert visits == []
        server.shutdown(socket.SHUT_RDWR)


def test_html_without_style_rules_stays_as_it_is() -> None:
    assert inlined("<p>plain</p>") == "<p>plain</p>"
