"""Where the messages of one subscription go, with which secrets, and what is rendered for them."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_bytes
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr


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


class InvalidContent(ValueError):
    """A rendered template field cannot be sent. `detail` says why and repeats no value."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field} {detail}")
        self.field = field
        self.detail = detail
