"""A mail before it is sent, and its bytes on the wire (RFC 5322)."""

from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime

import css_inline

from channels.mail.address import Mailbox

# Style sheets that a template names are not fetched; what cannot be inlined, such as @media, is kept.
_INLINER = css_inline.CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)


class _OneLine(UnstructuredHeader, BaseHeader):
    """A header that is never folded: of a long URL the folding would make encoded words, which nobody decodes there."""

    def fold(self, *, policy: Policy) -> str:
        return f"{self.name}: {self}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("list-unsubscribe", _OneLine)
_ASCII = SMTP.clone(header_factory=_HEADERS)
_UTF8 = _ASCII.clone(utf8=True)


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail. `delivery_id` is the same for every try of it, and so is the `Message-ID` made of it."""

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
        """The headers besides sender, recipients, subject and date."""
        headers = {
            "Message-ID": f"<{self.delivery_id}@{self.sender.domain}>",
            "Auto-Submitted": "auto-generated",  # RFC 3834: no holiday notices in return
        }
        if self.unsubscribe_url is not None:
            headers["List-Unsubscribe"] = f"<{self.unsubscribe_url}>"
            if self.unsubscribe_url.lower().startswith("https:"):
                headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"  # RFC 8058
        return headers

    @property
    def is_international(self) -> bool:
        """Whether an address needs SMTPUTF8 (RFC 6531) since its part before the `@` is not ASCII."""
        return not all(map(str.isascii, (self.sender.address, *self.recipients)))


def inlined(html: str) -> str:
    """`html` with its `<style>` rules as style attributes too, since some mail readers drop the former."""
    if "<style" not in html.lower():
        return html
    try:
        return _INLINER.inline(html)
    except css_inline.InlineError:
        return html


def to_bytes(mail: Mail) -> bytes:
    """The message with text and HTML as alternatives. Blind recipients stand only in the envelope."""
    message = EmailMessage(policy=_UTF8 if mail.is_international else _ASCII)
    message["From"] = mail.sender.header
    if mail.to:
        message["To"] = [box.header for box in mail.to]
    if mail.cc:
        message["Cc"] = [box.header for box in mail.cc]
    if mail.reply_to:
        message["Reply-To"] = mail.reply_to.header
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.sent_at)
    for name, value in mail.extra_headers.items():
        message[name] = value
    if mail.text or not mail.html:
        message.set_content(mail.text, cte="quoted-printable")
    if mail.html and mail.text:
        message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    elif mail.html:
        message.set_content(mail.html, subtype="html", cte="quoted-printable")
    return message.as_bytes()
