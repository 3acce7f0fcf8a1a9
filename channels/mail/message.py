"""A mail, and its bytes on the wire (RFC 5322)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, quote

import css_inline

from channels.mail.address import Mailbox

_FOLD = "\r\n "

# Style sheets that a template links to are not fetched, and rules that cannot be inlined, such as @media, are kept.
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. `delivery_id` is the same for every attempt to send it, and so is the `Message-ID` made from it."""

    delivery_id: str
    sent_at: datetime
    sender: Mailbox
    to: tuple[Mailbox, ...]
    cc: tuple[Mailbox, ...]
    bcc: tuple[Mailbox, ...]
    reply_to: Mailbox | None
    subject: str
    text: str
    html: str
    unsubscribe_url: str | None = None

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(box.address for box in (*self.to, *self.cc, *self.bcc))

    @property
    def extra_headers(self) -> dict[str, str]:
        """All headers other than sender, recipients, subject and date."""
        headers = {
            "Message-ID": f"<{self.delivery_id}@{self.sender.domain}>",
            "Auto-Submitted": "auto-generated",  # RFC 3834: asks for no automatic replies
        }
        if self.unsubscribe_url is not None:
            headers["List-Unsubscribe"] = f"<{self.unsubscribe_url}>"
            if self.unsubscribe_url.lower().startswith("https:"):
                headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
        return headers

    @property
    def is_international(self) -> bool:
        """Whether an address needs SMTPUTF8 (RFC 6531), because its part before the `@` is not ASCII."""
        return not all(map(str.isascii, (self.sender.address, *self.recipients)))


def inlined(html: str) -> str:
    """`html` with its `<style>` rules copied into style attributes, because some mail programs ignore `<style>`."""
    if "<style" not in html.lower():
        return html
    try:
        return _INLINER.inline(html)
    except css_inline.InlineError:
        return html


def to_bytes(mail: Mail) -> bytes:
    """The message, with text and HTML as alternatives. The `bcc` recipients are only in the envelope."""
    body = EmailMessage(policy=SMTP)
    if mail.text or not mail.html:
        body.set_content(mail.text, cte="quoted-printable")
    if mail.html and mail.text:
        body.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    elif mail.html:
        body.set_content(mail.html, subtype="html", cte="quoted-printable")
    return "".join(_headers(mail)).encode() + body.as_bytes()


def _headers(mail: Mail) -> Iterator[str]:
    """Each header, with its line ending.

    `EmailMessage` does not write them, because its folding in Python 3.11 loses spaces of a subject, encodes the commas
    between recipients, and turns a long URL into encoded words.
    """
    reply_to = (mail.reply_to,) if mail.reply_to else ()
    for name, boxes in {"From": (mail.sender,), "To": mail.to, "Cc": mail.cc, "Reply-To": reply_to}.items():
        if boxes:
            yield f"{name}: {f',{_FOLD}'.join(map(_address, boxes))}\r\n"
    yield f"Subject: {_encoded(mail.subject, 'Subject') if _needs_encoding(mail.subject) else mail.subject}\r\n"
    yield f"Date: {format_datetime(mail.sent_at)}\r\n"
    for name, value in mail.extra_headers.items():
        yield f"{name}: {value}\r\n"


def _address(box: Mailbox) -> str:
    if not box.name:
        return box.address
    if _needs_encoding(box.name):
        # Folded for the longest of the header names, so that it fits all of them.
        return f"{_encoded(box.name, 'Reply-To')}{_FOLD}<{box.address}>"
    return f'"{quote(box.name)}" <{box.address}>'


def _needs_encoding(text: str) -> bool:
    return not text.isascii() or "=?" in text


def _encoded(text: str, header: str) -> str:
    """`text` in encoded words (RFC 2047), folded so that they fit after the name of the header."""
    return Header(text, "utf-8", header_name=header).encode(linesep="\r\n")
