"""Any sender that puts an HMAC of the body into a header."""

import hmac
from typing import Annotated, Any, Literal

from pydantic import Field

from hub.catalogue.sources.schemes.base import (
    Announced,
    Headers,
    Scheme,
    Signed,
    decoded,
    from_base64,
    from_hex,
    header,
    member,
)

HeaderName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
MemberPath = Annotated[str, Field(min_length=1, max_length=200)]


class Hmac(Scheme):
    """The options say where the signature, the name and the id are. Without a name, the type is the prefix alone;
    without an id, a repeated delivery is another event."""

    header: HeaderName = Field(description="The header with the signature.", examples=["X-Signature"])
    algorithm: Literal["sha1", "sha256", "sha384", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = Field(
        default="", max_length=50, description="What stands before the signature.", examples=["sha256="]
    )
    name_header: HeaderName | None = Field(default=None, examples=["X-Event"])
    name_member: MemberPath | None = Field(default=None, description="Dotted.", examples=["event.type"])
    id_header: HeaderName | None = Field(default=None, examples=["X-Delivery"])
    id_member: MemberPath | None = Field(default=None, description="Dotted.", examples=["id"])

    def digest(self, key: bytes, content: bytes) -> bytes:
        return hmac.digest(key, content, self.algorithm)

    def signed(self, headers: Headers, body: bytes) -> Signed | None:
        given = headers.get(self.header.lower(), "")
        decode = from_hex if self.encoding == "hex" else from_base64
        return (
            Signed(body, decoded(decode, [given.removeprefix(self.prefix)])) if given.startswith(self.prefix) else None
        )

    def announced(self, headers: Headers, body: Any) -> Announced | None:
        name = _found(headers, body, self.name_header, self.name_member)
        return Announced(name or "", _found(headers, body, self.id_header, self.id_member))


def _found(headers: Headers, body: Any, in_header: str | None, in_body: str | None) -> str | None:
    if in_header is not None:
        return header(headers, in_header)
    return None if in_body is None else member(body, *in_body.split("."))
