"""Tenants, and API keys, of which only a SHA-256 hash is kept."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from hub.instants import Instant
from hub.models import Kept, Resource, Scope

DEFAULT_TENANT = "default"
_SCOPES = frozenset(Scope)


class Tenant(Kept):
    """The owner of events, subscriptions and keys. The operator chooses its id."""

    id: str
    name: str
    created_at: datetime


class NewTenant(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", examples=["acme"])]
    name: Annotated[str, Field(min_length=1, max_length=200, examples=["Acme Ltd"])]


def known_scopes(stored: Iterable[str]) -> list[str]:
    """Those of the stored scopes that this version knows. One that only a newer version knows gives nothing here."""
    return [scope for scope in stored if scope in _SCOPES]


class Key(Kept):
    """An API key as it is kept; `hash` is never shown."""

    id: str
    tenant: str
    name: str
    scopes: Annotated[frozenset[Scope], BeforeValidator(known_scopes)]
    hash: str = Field(repr=False)
    created_at: datetime
    expires_at: datetime | None = None


class NewKey(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=200, examples=["order service"])]
    scopes: Annotated[
        frozenset[Scope], Field(min_length=1, examples=[["events:write"]], json_schema_extra={"uniqueItems": False})
    ]
    tenant: Annotated[str, Field(examples=["default"])] = DEFAULT_TENANT
    expires_at: Instant | None = None


class KeyView(Resource):
    """A key as it is shown."""

    id: str
    tenant: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None = None


class IssuedKey(KeyView):
    """A key that was just issued; `key` is shown only this once."""

    key: str = Field(examples=["hub_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c_pZ0…"])


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of a request: the tenant of the key, and what the key may do."""

    key_id: str
    tenant: str
    scopes: frozenset[Scope]

    @property
    def is_operator(self) -> bool:
        return Scope.ADMIN in self.scopes


def expired(key: Key, now: datetime) -> bool:
    return key.expires_at is not None and key.expires_at <= now


def digest(text: str) -> str:
    """The hash by which a key is found. A key has 256 random bits, so a fast hash is enough."""
    return hashlib.sha256(text.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two hashes are equal, in constant time."""
    return hmac.compare_digest(one, other)
