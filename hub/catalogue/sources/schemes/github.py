"""GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""

from typing import Any, ClassVar

from hub.catalogue.sources.schemes.base import Announced, Headers, Scheme, Signed, decoded, from_hex, header

_PREFIX = "sha256="


class GitHub(Scheme):
    """`X-Hub-Signature-256` over the body; name and id are in `X-GitHub-Event` and `X-GitHub-Delivery`."""

    event_header: ClassVar[str] = "X-GitHub-Event"

    def signed(self, headers: Headers, body: bytes) -> Signed | None:
        given = headers.get("x-hub-signature-256", "")
        return Signed(body, decoded(from_hex, [given.removeprefix(_PREFIX)])) if given.startswith(_PREFIX) else None

    def announced(self, headers: Headers, body: Any) -> Announced | None:
        name = header(headers, self.event_header)
        # Sent once, when the webhook is set up.
        return None if name == "ping" else Announced(name, headers.get("x-github-delivery") or None)
