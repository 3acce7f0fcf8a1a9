"""The contract of a channel: a medium as code, with exactly one operation, a single try.

A channel is one module of this package, named as its kind, that defines one `Channel` subclass. It never retries,
sleeps, logs or stores: it returns a `Receipt` or raises `SendFailed`, and its caller decides what happens next.
"""

from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from secrets import token_bytes
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel is given to send: the rendered event, without any type of the hub's."""

    tenant: str
    """Whose event it is: what a channel keeps of one tenant, no other may see or touch."""
    event_id: str
    """The same for every try and every subscription."""
    delivery_id: str
    """The same for every try of one event to one subscription."""
    attempt: int
    type: str
    source: str
    source_id: str | None
    """The publisher's own id of the event, unique within `source`."""
    subject: str | None
    time: datetime
    data: bytes
    """JSON, exactly as it was published."""
    sent_at: datetime
    """The instant of this try."""
    content_type: str | None = None
    data_base64: bool = False
    """`data` is a JSON string with base64 of a body that is not JSON."""
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)
    """CloudEvents extension attributes."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """The channel's template fields, rendered for this event."""
    traceparent: str | None = None
    """W3C Trace Context of the request that published the event."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receiving side took it. `response_body` is the beginning of its answer, for the record of attempts."""

    status_code: int | None = None
    response_body: str | None = None


class SendFailed(Exception):
    """The try failed. `permanent` when no later try of the same message can succeed.

    `detail` is shown to people and never holds a secret. `retry_after` is the receiving side's wish, in seconds.
    """

    def __init__(
        self,
        detail: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        status_code: int | None = None,
        response_body: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.permanent = permanent
        self.retry_after = retry_after
        self.status_code = status_code
        self.response_body = response_body


class TargetModel(BaseModel):
    """Address and secrets of one subscription. Every secret is a `SecretStr` (or a mapping to them), so that it is
    encrypted where it is kept and masked where it is shown. String fields marked `Rendered` may hold templates."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


SECRET_PREFIX = "whsec_"  # noqa: S105 - what secrets begin with, not one of them


def new_secret() -> SecretStr:
    """A fresh signing secret of Standard Webhooks: `whsec_` and base64 of 32 random bytes."""
    return SecretStr(SECRET_PREFIX + b64encode(token_bytes(32)).decode())


class PreviousSecret(BaseModel):
    """A signing secret that is still honoured until `expires_at`."""

    model_config = ConfigDict(frozen=True)

    secret: SecretStr
    expires_at: datetime


class SignedTarget(TargetModel):
    """A target whose messages are signed. `previous_secrets` is written by rotation only, never by a client."""

    secret: SecretStr = Field(default_factory=new_secret)
    """Made here when the client gives none."""
    previous_secrets: tuple[PreviousSecret, ...] = ()

    def rotated(self, until: datetime) -> Self:
        """The same target with a new secret; the present one is honoured `until` that instant."""
        previous = (PreviousSecret(secret=self.secret, expires_at=until), *self.previous_secrets)
        return self.model_copy(update={"secret": new_secret(), "previous_secrets": previous[:4]})


@dataclass(frozen=True, slots=True)
class Rendered:
    """Annotates a target's field whose strings are templates, rendered for each event:
    `to: Annotated[list[str], Rendered()]`."""


TargetT = TypeVar("TargetT", bound=TargetModel)


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What a channel is built from."""

    http: httpx.AsyncClient
    """Shared by every channel; guarded, capped, and never following redirects."""
    data_dir: Path
    options: Mapping[str, str] = field(default_factory=dict)
    """The operator's settings by lower-case name without `HUB_`: `{"smtp_url": "smtp://…"}`."""


class Channel(ABC, Generic[TargetT]):
    """One medium. `kind` is the name of its module."""

    kind: ClassVar[str]
    Target: ClassVar[type[TargetModel]]
    default_template: ClassVar[Mapping[str, Any]] = {}
    """Template fields and their Liquid sources (nested lists and objects are rendered leaf by leaf) for events that
    have no built-in template. A subscription may override each field; other names are refused."""
    escapes: ClassVar[Mapping[str, Literal["html", "mrkdwn"]]] = {}
    """How values are escaped where they enter a template field; fields that are not named take them as they are."""
    rate_per_second: ClassVar[float | None] = None
    """The rate of a subscription that sets none."""
    operator_only: ClassVar[bool] = False
    """Only keys with the scope `admin` may subscribe."""

    def __init__(self, tools: ChannelContext) -> None:
        self.tools = tools

    @abstractmethod
    async def send(self, message: Message, target: TargetT) -> Receipt:
        """One try. Raises `SendFailed`; anything else that escapes counts as a failure that may be retried."""

    async def aclose(self) -> None:
        """Give back what the channel holds open."""
