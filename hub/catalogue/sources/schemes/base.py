"""What a scheme is: how a sender signs its requests, and where it puts the name and the id of what happened."""

import hmac
from abc import ABC, abstractmethod
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from hub.errors import Fault, Invalid, Unauthorized
from hub.instants import parse_instant
from hub.validation import pointer

Headers = Mapping[str, str]
"""The headers of a request, by lower-case name."""

REFUSED = "The source is unknown or disabled, or the signature of the request is not valid."
"""Said of all of these alike, so that nobody learns which sources there are."""


class BadSignature(Unauthorized):
    """Answered as an unknown source is; `reason` is for the operator's log alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(REFUSED)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Signed:
    """What a request's signature is about, and the signatures that it has: one of them must be right."""

    content: bytes
    signatures: Sequence[bytes]
    at: datetime | None = None
    """When it was signed, where the signature says so."""


@dataclass(frozen=True, slots=True)
class Announced:
    """What a request says has happened: the sender's name for it, and the id that a repeated delivery has again."""

    name: str
    id: str | None
    time: datetime | None = None
    data_member: str | None = None
    """The member of the body that is the event's data; None: the whole body is."""


class Scheme(BaseModel, ABC):
    """A way to sign requests. Its fields are the options of a source that uses it.

    Example:

        class Acme(Scheme):
            def signed(self, headers: Headers, body: bytes) -> Signed | None:
                return Signed(body, decoded(bytes.fromhex, [headers.get("x-acme-signature", "")]))

            def announced(self, headers: Headers, body: Any) -> Announced | None:
                return Announced(header(headers, "X-Acme-Event"), headers.get("x-acme-id"))
    """

    event_header: ClassVar[str] = ""
    """The header in which senders of this scheme, and no others, name the event. By it a request is recognised whose
    sender has a key and signs nothing; so a scheme that has one must need no options. Empty: there is none."""

    # Unknown options are refused when a source is written; one that a newer version stored is passed over.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    @abstractmethod
    def signed(self, headers: Headers, body: bytes) -> Signed | None:
        """What was signed; None when the request lacks a signature of this form."""

    @abstractmethod
    def announced(self, headers: Headers, body: Any) -> Announced | None:
        """What the request announces, from its parsed body; None when it only tests the connection.

        It is asked after the signature was found right. Raises `Invalid` where the sender's own form is broken.
        """

    def key(self, secret: str) -> bytes:
        """The key of the signature. Raises `ValueError` for a secret that cannot be one."""
        return secret.encode()

    def digest(self, key: bytes, content: bytes) -> bytes:
        return hmac.digest(key, content, "sha256")

    def verify(self, headers: Headers, body: bytes, secrets: Iterable[str], now: datetime) -> None:
        """Raise `BadSignature` unless the request is signed with one of the secrets, and `Unauthorized` when that was
        too long ago."""
        signed = self.signed(headers, body)
        if signed is None or not signed.signatures:
            raise BadSignature("The request has no signature of this scheme.")
        expected = [self.digest(self.key(secret), signed.content) for secret in secrets]
        # Compared in constant time, and all with all: how long it takes tells nothing of a secret.
        if not sum(hmac.compare_digest(right, given) for right in expected for given in signed.signatures):
            raise BadSignature("The request was signed with another secret, or its body was changed on the way.")
        self.check_age(signed.at, now)

    def check_age(self, at: datetime | None, now: datetime) -> None:
        """Raise `Unauthorized` when the signature is too old; most schemes do not say when they signed."""


class TimedScheme(Scheme):
    """A scheme that signs the time as well, so that a request which somebody recorded cannot be sent again later."""

    tolerance_seconds: int = Field(
        default=300, ge=1, le=86_400, strict=True, description="How far the sender's clock may differ from the hub's."
    )

    def check_age(self, at: datetime | None, now: datetime) -> None:
        # Said plainly: who signed the request knows the secret.
        if at is None or abs(now - at) > timedelta(seconds=self.tolerance_seconds):
            raise Unauthorized(
                f"The signature is valid, but its timestamp is more than {self.tolerance_seconds} seconds away from the"
                " hub's clock: it is a repetition, or one of the two clocks is wrong."
            )


def header(headers: Headers, name: str) -> str:
    """The value of a header. Raises `Invalid` where it is missing."""
    value = headers.get(name.lower())
    if not value:
        raise Invalid(
            "The request lacks a header of its scheme.", errors=[Fault("is required", pointer("header", name))]
        )
    return value


def member(body: Any, *path: str) -> str:
    """A text, or a whole number as text, in the body. Raises `Invalid` where there is none."""
    value = body
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or not value:
        raise Invalid("The body lacks a member of its scheme.", errors=[Fault("must be a text", pointer(*path))])
    return value


def decoded(decode: Callable[[str], bytes], texts: Iterable[str]) -> list[bytes]:
    """The signatures among these texts; a text that is none can never be right, and is left out."""
    found = []
    for text in texts:
        with suppress(ValueError):
            found.append(decode(text))
    return found


def from_hex(text: str) -> bytes:
    """Raises `ValueError`."""
    return bytes.fromhex(text)


def from_base64(text: str) -> bytes:
    """With or without its padding. Raises `ValueError`."""
    return b64decode(text + "=" * (-len(text) % 4), validate=True)


def unix_instant(text: str) -> datetime | None:
    """The instant that whole seconds since 1970 stand for; None for any other text."""
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        return None
    return datetime.fromtimestamp(int(text), UTC)


def rfc3339_instant(text: object) -> datetime | None:
    """The instant; None for anything that is not one, because the time of an event may be absent."""
    try:
        return parse_instant(text)
    except ValueError:
        return None
