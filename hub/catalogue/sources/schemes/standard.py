"""Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""

from typing import Any

from hub.catalogue.sources.schemes.base import (
    Announced,
    Headers,
    Signed,
    TimedScheme,
    decoded,
    from_base64,
    header,
    member,
    rfc3339_instant,
    unix_instant,
)

_PREFIX = "whsec_"


class StandardWebhooks(TimedScheme):
    """`webhook-signature` over `webhook-id`, `webhook-timestamp` and the body, as this hub's own webhooks have it.

    `type`, `timestamp` and `data` of the body become those of the event; a body without `data` is the data.
    """

    def key(self, secret: str) -> bytes:
        return from_base64(secret.removeprefix(_PREFIX))

    def signed(self, headers: Headers, body: bytes) -> Signed | None:
        id_, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        parts = [part.partition(",") for part in headers.get("webhook-signature", "").split()]
        signatures = decoded(from_base64, [value for version, _, value in parts if version == "v1"])
        return Signed(f"{id_}.{at}.".encode("latin-1") + body, signatures, unix_instant(at))

    def announced(self, headers: Headers, body: Any) -> Announced | None:
        name = member(body, "type")
        data = "data" if "data" in body else None
        return Announced(name, header(headers, "webhook-id"), rfc3339_instant(body.get("timestamp")), data)
