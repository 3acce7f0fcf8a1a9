"""What the target of a webhook receives: the section `webhooks` of the OpenAPI document.

The source of the headers is Standard Webhooks 1.0.
"""

from typing import Any, Final

from hub.api.components import reference
from hub.media_types import CLOUDEVENT, JSON

WEBHOOK_MESSAGE: Final[dict[str, Any]] = {
    "type": "object",
    "title": "WebhookMessage",
    "description": "An event in the format `standard`, which is the default.",
    "required": ["type", "timestamp", "data"],
    "properties": {
        "type": {"type": "string", "examples": ["order.created"]},
        "timestamp": {"type": "string", "format": "date-time", "description": "When the event happened."},
        "data": {"description": "The event's data, byte for byte as it was published."},
    },
}


def _header(name: str, description: str, *, required: bool = True) -> dict[str, Any]:
    schema = {"type": "string"}
    return {"name": name, "in": "header", "required": required, "description": description, "schema": schema}


WEBHOOKS: Final[dict[str, Any]] = {
    "event": {
        "post": {
            "tags": ["webhooks"],
            "operationId": "receiveEvent",
            "summary": "Receive Event",
            "description": "What the hub sends to the target of a `webhook` subscription, signed as Standard Webhooks "
            "says. Verify the signature over the bytes of the body before reading it.",
            "parameters": [
                _header("webhook-id", "The event's id, the same for every attempt: ignore what you had before."),
                _header("webhook-timestamp", "When this attempt was made, in seconds since 1970."),
                _header("webhook-signature", "`v1,` and the signature in base64; several with spaces between them."),
                _header("traceparent", "The W3C trace context of the publisher.", required=False),
            ],
            "requestBody": {
                "required": True,
                "description": "In the format `raw` it is the event's data alone, under its own content type.",
                "content": {
                    # In place: oapi-codegen leaves out components that only webhooks refer to, and misses them then.
                    JSON: {"schema": WEBHOOK_MESSAGE},
                    CLOUDEVENT: {"schema": reference("CloudEvent")},
                },
            },
            "responses": {
                "2XX": {"description": "The event is taken; it is not sent again."},
                "410": {"description": "The target is gone: the subscription is disabled."},
                "429": {"description": "Too many: the next attempt waits as long as `Retry-After` says."},
                "default": {"description": "The attempt failed; it is repeated on the retry schedule."},
            },
        }
    }
}
