"""Stripe: https://docs.stripe.com/webhooks#verify-manually"""

from typing import Any

from hub.catalogue.sources.schemes.base import (
    Announced,
    Headers,
    Signed,
    TimedScheme,
    decoded,
    from_hex,
    member,
    unix_instant,
)


class Stripe(TimedScheme):
    """`Stripe-Signature: t=…,v1=…` over time and body; name, id and time are `type`, `id` and `created` of the body.

    While a secret is being replaced, Stripe signs with both and sends two `v1`.
    """

    def signed(self, headers: Headers, body: bytes) -> Signed | None:
        parts = [part.strip().partition("=") for part in headers.get("stripe-signature", "").split(",")]
        at = next((value for name, _, value in parts if name == "t"), "")
        signatures = decoded(from_hex, [value for name, _, value in parts if name == "v1"])
        return Signed(f"{at}.".encode() + body, signatures, unix_instant(at))

    def announced(self, headers: Headers, body: Any) -> Announced | None:
        created = body.get("created") if isinstance(body, dict) else None
        return Announced(member(body, "type"), member(body, "id"), unix_instant(str(created)))
