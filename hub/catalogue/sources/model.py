"""A source: as clients write it, as it is kept and shown, and as the hub uses it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from channels.base import PreviousSecret
from hub.catalogue.patterns import RESERVED, is_reserved, is_type
from hub.catalogue.sealing import mask
from hub.catalogue.sources.schemes import SCHEMES, Scheme

MAX_PREFIX_LENGTH = 100
MIN_SECRET_LENGTH = 1
MAX_SECRET_LENGTH = 500


def _check_prefix(text: str) -> str:
    if text and (not is_type(text) or is_reserved(f"{text}.")):
        raise ValueError(f"must be printable ASCII without spaces and `*`, and not begin with {RESERVED}")
    return text


TypePrefix = Annotated[str, Field(max_length=MAX_PREFIX_LENGTH), AfterValidator(_check_prefix)]


def _check_secret(secret: SecretStr) -> SecretStr:
    if not MIN_SECRET_LENGTH <= len(secret) <= MAX_SECRET_LENGTH:
        raise ValueError(f"must be {MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters long")
    return secret


Secret = Annotated[
    SecretStr,
    AfterValidator(_check_secret),
    Field(json_schema_extra={"minLength": MIN_SECRET_LENGTH, "maxLength": MAX_SECRET_LENGTH}),
]


class SourceSpec(BaseModel):
    """A source as clients write it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=200, examples=["our repositories"])
    scheme: str = Field(max_length=50, description=f"One of {', '.join(SCHEMES)}.", examples=["github"])
    secret: Secret = Field(description="What the sender signs with.", examples=["It's a Secret to Everybody"])
    type_prefix: TypePrefix | None = Field(
        default=None,
        description="Stands, with a dot, before the sender's name for an event: `github.push`. By default the scheme; "
        "with an empty text the name alone is the type.",
        examples=["github"],
    )
    options: dict[str, Any] = Field(default_factory=dict, description="Of the scheme.")
    enabled: bool = Field(default=True, strict=True)


class SourceDocument(SourceSpec):
    """A source as it is kept. Without its secrets, where they cannot be decrypted: then `secret` is empty."""

    # What an older or a newer version stored is read, whatever rule it would break today.
    model_config = ConfigDict(extra="ignore")

    secret: SecretStr
    type_prefix: str | None = None
    previous_secrets: tuple[PreviousSecret, ...] = ()
    created_at: datetime
    updated_at: datetime


class SourceView(SourceSpec):
    """A source as it is shown: its secret masked."""

    secret: str | None = Field(  # type: ignore[assignment] # masked, it is no secret
        examples=["********"], description="Masked; null when it cannot be decrypted any more: set it again."
    )
    id: str = Field(examples=["src_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Source:
    """A source whose requests can be verified."""

    id: str
    tenant: str
    document: SourceDocument
    scheme: Scheme
    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The members of its record that only a newer version knows; see `hub.catalogue.unknown_members`."""

    @property
    def type_prefix(self) -> str:
        prefix = self.document.type_prefix
        return self.document.scheme if prefix is None else prefix

    def secrets(self, now: datetime) -> list[str]:
        """The secrets that are valid now: the current one, and those before it in their grace time."""
        previous = [one.secret for one in self.document.previous_secrets if one.expires_at > now]
        # An empty one stands for a secret that cannot be decrypted: anybody could sign with it.
        return [secret.get_secret_value() for secret in (self.document.secret, *previous) if secret]

    def view(self) -> SourceView:
        # Not validated again: each member comes from a document that was.
        shown = {name: getattr(self.document, name) for name in SourceView.model_fields if name != "id"}
        secret = self.document.secret.get_secret_value()
        shown |= {"secret": mask(secret) if secret else None, "type_prefix": self.type_prefix}
        return SourceView.model_construct(id=self.id, **shown)
