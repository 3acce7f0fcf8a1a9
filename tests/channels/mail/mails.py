"""A mail as the email channel composes it."""

from dataclasses import replace
from typing import Any

from channels.mail import Mail, Mailbox
from hub.testing.clock import START

MAIL = Mail(
    delivery_id="dlv_1",
    sent_at=START,
    sender=Mailbox("The Shop", "shop@example.com"),
    to=(Mailbox("Jürgen, Dr.", "ann@example.com"),),
    cc=(Mailbox("", "cc@example.com"),),
    bcc=(Mailbox("", "bcc@example.com"),),
    reply_to=Mailbox("", "help@example.com"),
    subject="Your order 1001 — thank you",
    text="Thank you, Jürgen.",
    html="<p>Thank you, <b>Jürgen</b>.</p>",
    unsubscribe_url="https://example.com/u?id=1",
)


def mail(**changes: Any) -> Mail:
    """The sample with some members changed."""
    return replace(MAIL, **changes)
