"""Messages as the hub would give them to a channel."""

from dataclasses import replace
from typing import Any

from channels.base import Message
from hub.testing.clock import START

MESSAGE = Message(
    tenant="acme",
    event_id="evt_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c",
    delivery_id="dlv_019ab3c1d2e47f0a8b6c5d4e3f2a1b0d",
    attempt=1,
    type="order.created",
    source="/shop",
    source_id="4711",
    subject="orders/1001",
    time=START,
    data=b'{"order_id":"1001", "total": "12.50","customer":{"name":"J\xc3\xbcrgen <b>","email":"jo@example.com"}}',
    sent_at=START,
    content={
        "text": "Order 1001",
        "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "*Order 1001*"}}],
        "subject": "Order 1001",
        "html": "<p>Order 1001</p>",
    },
)


def message(**changes: Any) -> Message:
    """The sample with some members changed."""
    return replace(MESSAGE, **changes)
