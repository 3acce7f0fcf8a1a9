"""Shopify: https://shopify.dev/docs/apps/build/webhooks/subscribe/https"""

from typing import Any, ClassVar

from hub.catalogue.sources.schemes.base import (
    Announced,
    Headers,
    Scheme,
    Signed,
    decoded,
    from_base64,
    header,
    rfc3339_instant,
)


class Shopify(Scheme):
    """`X-Shopify-Hmac-Sha256` over the body; the name is `X-Shopify-Topic`, so that `orders/create` is `orders.create`.

    The id is that of the event, which Shopify names for telling duplicates, or that of the delivery.
    """

    event_header: ClassVar[str] = "X-Shopify-Topic"

    def signed(self, headers: Headers, body: bytes) -> Signed | None:
        return Signed(body, decoded(from_base64, [headers.get("x-shopify-hmac-sha256", "")]))

    def announced(self, headers: Headers, body: Any) -> Announced | None:
        topic = header(headers, self.event_header)
        id_ = headers.get("x-shopify-event-id") or headers.get("x-shopify-webhook-id")
        # With the topic: what a person did once may be announced under several topics, all with the id of the event.
        return Announced(
            topic.replace("/", "."),
            f"{topic}/{id_}" if id_ else None,
            rfc3339_instant(headers.get("x-shopify-triggered-at")),
        )
