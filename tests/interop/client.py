"""Uses the client that was generated for Python: publishes, lists in pages, subscribes, patches. It runs where the
generator is installed, and prints what it saw as one line of JSON."""

import json
import os
from typing import Any

from notification_hub_client import AuthenticatedClient
from notification_hub_client.api.events import get_event, list_events
from notification_hub_client.api.publish import publish_event, publish_events, publish_order_event
from notification_hub_client.api.subscriptions import create_subscription, update_subscription
from notification_hub_client.models import (
    NewEvent,
    NewWebhookSubscription,
    SubscriptionPatch,
    WebhookSubscription,
    WebhookTarget,
)
from notification_hub_client.types import UNSET

hub = AuthenticatedClient(os.environ["HUB_URL"], os.environ["HUB_KEY"], raise_on_unexpected_status=True)
order = {"order_id": "o-1", "total": "1.00", "currency": "EUR", "customer": {"email": "ada@example.com"}, "items": []}

one = publish_event.sync(client=hub, body=NewEvent(type_="order.created", data=order))
batch = publish_events.sync(
    client=hub, body=[NewEvent(type_="order.paid", data=order), NewEvent(type_="no type", data=1)]
)
of_order = publish_order_event.sync(
    "o-2", client=hub, body=NewEvent(type_="order.paid", data={**order, "order_id": "o-2"}), idempotency_key="once"
)
event = get_event.sync(of_order.id, client=hub)

types: list[str] = []
cursor: Any = UNSET
while cursor is not None:
    page = list_events.sync(client=hub, limit=2, cursor=cursor)
    types += [item.type_ for item in page.items]
    cursor = page.next_cursor

made = create_subscription.sync(
    client=hub,
    body=NewWebhookSubscription(
        name="a", event_types=["stock.*"], channel="webhook", target=WebhookTarget(url="https://example.com/hooks")
    ),
)
patch = SubscriptionPatch(name="b", max_in_flight=3, timeout=None)
patched = update_subscription.sync(made.id, client=hub, body=patch)
missing = get_event.sync("evt_none", client=hub)

print(
    json.dumps(
        {
            "published": one.status,
            "batch": [item.status for item in batch.items],
            "subject": event.subject,
            "listed": types,
            "patched": [
                patched.name,
                patched.max_in_flight,
                patched.timeout,
                patched.target.url if isinstance(patched, WebhookSubscription) else None,
            ],
            "missing": missing.title,
        }
    )
)
