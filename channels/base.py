"""The contract of a channel: one medium, with one operation, which is a single attempt to send a message.

A channel is one module of this package, named for its kind, that defines one `Channel` subclass. It never retries,
sleeps, logs or stores. It returns a `Receipt` or raises `SendFailed`, and its caller decides what happens next.
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
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr


@dataclass(frozen=True, slots=True)
class Message:
    """What a channel is given to send: the rendered event, in types that do not depend on the hub."""

    tenant: str
    """The owner of the event. What a channel stores for one tenant must not be visible to another."""
    event_id: str
    """The same for every attempt and every subscription."""
    delivery_id: str
    """The same for every attempt to send one event to one subscription."""
    attempt: int
    """Counts from 1."""
    type: str
    source: str
    source_id: str | None
    """The publisher's own id for the event, unique within `source`."""
    subject: str | None
    time: datetime
    data: bytes
    """JSON, byte for byte as it was published; see docs/decisions/0003."""
    sent_at: datetime
    """The instant of this attempt. Channels take the time from here and never from a clock."""
    content_type: str | None = None
    data_base64: bool = False
    """True when the published body was not JSON: `data` is then a JSON string with its base64."""
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)
    """CloudEvents extension attributes."""
    content: Mapping[str, Any] = field(default_factory=dict)
    """The channel's template fields, rendered for this event."""
    traceparent: str | None = None
    """W3C Trace Context of the request that published the event."""
    checkpoint: str | None = None
    """What the last failed attempt left in `SendFailed.checkpoint`: how much of this delivery is done."""
    test: bool = False
    """A person sends a sample to try the target out; the channel says so where the reader sees it."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receiver accepted the message. `response_body` is the beginning of its answer, kept with the attempt.

    Example:

        Receipt(status_code=200, response_body="ok")
    """

    status_code: int | None = None
    response_body: str | None = None


class SendFailed(Exception):
    """The attempt failed. `permanent` says that no later attempt with the same message can succeed.

    `detail` is shown to people and never contains a secret. `retry_after` is the delay that the receiver asked for, in
    seconds. `checkpoint` says, in the channel's own words, what is done although the attempt failed, such as which
    recipients have the message. The hub keeps it with the delivery, in the same commit as the attempt, and the next
    attempts get it as `Message.checkpoint`. None leaves it as it was.

    Example:

        try:
            raise SendFailed("answered 503 Service Unavailable", status_code=503, retry_after=30.0)
        except SendFailed as failure:
            failure.permanent  # False: the hub tries again in 30 s
    """

    def __init__(
        self,
        detail: str,
        *,
        permanent: bool = False,
        retry_after: float | None = None,
        status_code: int | None = None,
        response_body: str | None = None,
        checkpoint: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.permanent = permanent
        self.retry_after = retry_after
        self.status_code = status_code
        self.response_body = response_body
        self.checkpoint = checkpoint


class ChannelUnavailable(SendFailed):
    """Nothing can be sent to this target before somebody changes a setting, such as a key that the provider refuses.

    The message is not at fault: its delivery is held with `detail` as the reason, the attempt does not count, and the
    hub tries again once in a while.

    Example:

        try:
            raise ChannelUnavailable("the provider refuses HUB_PAGER_KEY", status_code=401)
        except SendFailed as failure:
            failure.detail  # "the provider refuses HUB_PAGER_KEY"
    """


class InvalidContent(ValueError):
    """A rendered template field cannot be sent. `detail` says why and repeats no value."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field
        self.detail = detail


class TargetModel(BaseModel):
    """The address and the secrets of one subscription.

    Every secret is a `SecretStr`, or a mapping to `SecretStr`: it is then encrypted where it is stored and masked where
    it is shown. String fields marked `Rendered` may contain templates.

    Example:

        from typing import Annotated

        class PagerTarget(TargetModel):
            routing_key: SecretStr
            summary: Annotated[str, Rendered()] = "{{ type }}"

        PagerTarget(routing_key="R0123").summary  # "{{ type }}"
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    _templates: "TargetModel | None" = PrivateAttr(default=None)

    @property
    def templates(self) -> Self:
        """The target as it is stored, whose templates were rendered into this one; itself where it has none."""
        return self._templates or self  # type: ignore[return-value] # a copy has the class of what it was made from

    def rendered(self, fields: Mapping[str, Any]) -> Self:
        """A copy with these fields in place of the templates."""
        copy = self.model_copy(update=fields)
        copy._templates = self
        return copy


SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix of every secret, not a secret


def new_secret() -> SecretStr:
    """A new signing secret as Standard Webhooks defines it: `whsec_`, then 32 random bytes in base64."""
    return SecretStr(SECRET_PREFIX + b64encode(token_bytes(32)).decode())


class PreviousSecret(BaseModel):
    """A replaced signing secret that signs messages, beside the current one, until `expires_at`."""

    model_config = ConfigDict(frozen=True)

    secret: SecretStr
    expires_at: datetime


class SignedTarget(TargetModel):
    """A target whose messages are signed. Only rotation writes `previous_secrets`; clients cannot.

    Example:

        class SmsTarget(SignedTarget):
            number: str

        SmsTarget(number="+49 30 1234567").secret.get_secret_value()[:6]  # "whsec_"
    """

    secret: SecretStr = Field(default_factory=new_secret)
    """Generated when the client gives none."""
    previous_secrets: tuple[PreviousSecret, ...] = ()

    def rotated(self, until: datetime) -> Self:
        """The same target with a new secret. The current secret keeps signing `until` that instant."""
        # Each secret adds a signature to the headers of every message, so the number of secrets is limited.
        previous = (PreviousSecret(secret=self.secret, expires_at=until), *self.previous_secrets)
        return self.model_copy(update={"secret": new_secret(), "previous_secrets": previous[:4]})


@dataclass(frozen=True, slots=True)
class Rendered:
    """Marks a field of a target whose strings are templates, rendered for each event:
    `to: Annotated[list[str], Rendered()]`."""

    recipient: bool = True
    """Whether the field says who gets the message. A test goes to nobody who is named by data, unless that is asked
    for."""


Escape = Literal["html", "mrkdwn", "json", "url"]
"""How a value is escaped where it enters a text: for HTML or XML, for Slack, inside a JSON string, in a URL or form."""


@dataclass(frozen=True, slots=True)
class Templates:
    """What messages to a target are rendered with.

    Example:

        Templates("email_staff", {"html": "html"})
    """

    built_in: str
    """The folder of `hub/templates/` that has the templates for built-in event types."""
    escapes: Mapping[str, Escape] = field(default_factory=dict)
    """How values are escaped in each template field."""


TargetT = TypeVar("TargetT", bound=TargetModel)


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What a channel is constructed with.

    Example:

        from channels.file import FileChannel
        from channels.http import open_client

        async with open_client() as http:
            channel = FileChannel(ChannelContext(http, Path("var"), {"file_keep": "3"}))
            await channel.aclose()
    """

    http: httpx.AsyncClient
    """The client that all channels share. It refuses private addresses, limits the size of answers, and follows no
    redirects; see docs/decisions/0002."""
    data_dir: Path
    options: Mapping[str, str] = field(default_factory=dict)
    """The operator's settings, by lower-case name without `HUB_`: `{"smtp_url": "smtp://…"}`."""


class Channel(ABC, Generic[TargetT]):
    """One medium.

    Each process makes one instance of each channel, uses it for all subscriptions at once, and closes it when it ends.

    Example:

        from channels.http import HttpUrl, deliver, receipt

        class MatrixTarget(TargetModel):
            url: HttpUrl

        class MatrixChannel(Channel[MatrixTarget]):
            kind = "matrix"
            Target = MatrixTarget
            default_template = {"text": "{{ type }}: {{ subject }}"}

            async def send(self, message: Message, target: MatrixTarget) -> Receipt:
                request = httpx.Request("POST", target.url, json={"body": message.content["text"]})
                return receipt(await deliver(self.context.http, request), message.sent_at)
    """

    kind: ClassVar[str]
    """The name of the channel's module, or of its entry point."""
    Target: ClassVar[type[TargetModel]]
    default_template: ClassVar[Mapping[str, Any]] = {}
    """The template fields, with the Liquid sources for events that have no built-in template. Each string inside nested
    lists and objects is a template. A subscription may override each of these fields, and no others."""
    escapes: ClassVar[Mapping[str, Escape]] = {}
    """How values are escaped when they are put into a template field. Values in other fields are not escaped."""
    made_from: ClassVar[Mapping[str, str]] = {}
    """Fields that the channel can make from another one. Where a subscription's template gives the other field and not
    this one, this one is not rendered, because its default belongs to another message."""
    rate_per_second: ClassVar[float | None] = None
    """The rate for subscriptions that set none; None means no limit."""
    operator_only: ClassVar[bool] = False
    """Whether only keys with the scope `admin` may subscribe."""
    option_names: ClassVar[frozenset[str]] = frozenset()
    """The operator's settings that it reads from `context.options`. Those that nothing reads are reported as
    misspelt."""

    def __init__(self, context: ChannelContext) -> None:
        self.context = context

    @classmethod
    def templates_for(cls, target: TargetT) -> Templates | None:
        """The templates of messages to this target, by default the same for all; None when nothing is rendered. See
        docs/decisions/0023."""
        return Templates(cls.kind, cls.escapes) if cls.default_template else None

    @classmethod
    def check_content(cls, content: Mapping[str, Any], target: TargetT) -> None:
        """Raises `InvalidContent` when the rendered template fields cannot be sent."""

    def unavailable(self, target: TargetT) -> str | None:
        """Why nothing can be sent to the target with the operator's settings, naming the setting; None when it can.

        Asked often, so it looks only at what is in memory. While it gives a reason, deliveries are held with it, and
        `send` is not called.
        """
        return None

    @abstractmethod
    async def send(self, message: Message, target: TargetT) -> Receipt:
        """Make one attempt. Raises `SendFailed`, also as `ChannelUnavailable`; any other exception counts as a failure
        that may be retried."""

    async def check(self, target: TargetT | None) -> None:
        """Ask whether the operator's settings, or with a target its credentials, would be accepted; send nothing.

        For `hub doctor`. Raises `SendFailed`.
        """

    async def aclose(self) -> None:
        """Close what the channel keeps open."""
