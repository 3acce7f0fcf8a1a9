"""A mail, and its bytes on the wire (RFC 5322)."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.header import Header
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from textwrap import wrap

import css_inline

from channels.mail.address import Mailbox, quoted
from channels.mail.progress import Progress

_FOLD = "\r\n "
_LINE_LENGTH = 78
"""RFC 5322, section 2.1.1."""

# Style sheets that a template links to are not fetched, and rules that cannot be inlined, such as @media, are kept.
# It recurses on elements without a limit: some 5,000 tags that open tables and cells in each other end the process. Its
# time grows with rules times elements; this many take some 50 ms.
_MAX_TAGS = 2_500
_MAX_MATCHES = 500_000
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
    progress: Progress = field(default_factory=Progress)

    @property
    def recipients(self) -> tuple[str, ...]:
        return tuple(box.address for boxes in self._groups for box in boxes)

    @property
    def missing(self) -> tuple[str, ...]:
        """The recipients who are still to be tried."""
        return self.progress.missing(self.recipients)

    def to_only(self, recipients: Collection[str]) -> "Mail":
        """The mail with only some of its recipients, of whom at least one is in `to`."""
        to, cc, bcc = (tuple(box for box in boxes if box.address in recipients) for boxes in self._groups)
        if not to:
            to, cc, bcc = (cc, (), bcc) if cc else (bcc, (), ())
        return replace(self, to=to, cc=cc, bcc=bcc)

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
        return not all(map(str.isascii, (*self._authors, *self.recipients)))

    def in_ascii(self) -> "Mail | None":
        """The mail without the recipients that need SMTPUTF8; None when the sender or the address for replies does, or
        when nobody is left."""
        to, cc, bcc = (tuple(box for box in boxes if box.address.isascii()) for boxes in self._groups)
        if not all(map(str.isascii, self._authors)) or not (to or cc or bcc):
            return None
        return replace(self, to=to, cc=cc, bcc=bcc)

    @property
    def _groups(self) -> tuple[tuple[Mailbox, ...], ...]:
        return self.to, self.cc, self.bcc

    @property
    def _authors(self) -> tuple[str, ...]:
        return tuple(box.address for box in (self.sender, self.reply_to) if box)


def inlined(html: str) -> str:
    """`html` with its `<style>` rules copied into style attributes, because some mail programs ignore `<style>`. HTML
    that is too large for that stays as it is."""
    if "<style" not in html.lower():
        return html
    tags, rules = html.count("<"), html.count("{")
    if tags > _MAX_TAGS or tags * rules > _MAX_MATCHES:
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
    subject = _encoded(mail.subject, "Subject") if _needs_encoding(mail.subject) else _folded(mail.subject)
    yield f"Subject: {subject}\r\n"
    yield f"Date: {format_datetime(mail.sent_at)}\r\n"
    for name, value in mail.extra_headers.items():
        yield f"{name}: {value}\r\n"


def _address(box: Mailbox) -> str:
    if not box.name:
        return box.address
    if _needs_encoding(box.name):
        # Folded for the longest of the header names, so that it fits all of them.
        return f"{_encoded(box.name, 'Reply-To')}{_FOLD}<{box.address}>"
    name = quoted(box.name)
    return (
        f"{name}{_FOLD if len(name) + len(box.address) > _LINE_LENGTH - len('Reply-To: <>,') else ' '}<{box.address}>"
    )


def _folded(text: str) -> str:
    """The subject with line breaks before words, so that its lines have 78 characters where there are blanks."""
    lines = wrap(text, _LINE_LENGTH - len("Subject: "), break_long_words=False, break_on_hyphens=False)
    return _FOLD.join(lines)


def _needs_encoding(text: str) -> bool:
    return not text.isascii() or "=?" in text


def _encoded(text: str, header: str) -> str:
    """`text` in encoded words (RFC 2047), folded so that they fit after the name of the header."""
    return Header(text, "utf-8", header_name=header).encode(linesep="\r\n")
