"""A subscription: as clients write it, as it is shown, and as the hub uses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from channels.base import TargetModel
from hub.catalogue.subscriptions.filters import Filter
from hub.catalogue.subscriptions.unreadable import ForeignTarget, UnreadableTarget
from hub.retry import DEFAULT_SCHEDULE, RetrySchedule
from hub.stores.base import FASTEST_PER_SECOND, SLOWEST_PER_SECOND

DEFAULT_MAX_IN_FLIGHT = 10
MOST_IN_FLIGHT = 1_000
SHORTEST_TIMEOUT = 0.01
LONGEST_TIMEOUT = 30.0
"""In seconds."""


class RateLimit(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    per_second: float = Field(
        ge=SLOWEST_PER_SECOND, le=FASTEST_PER_SECOND, allow_inf_nan=False, strict=True, examples=[5]
    )


class SubscriptionSpec(BaseModel):
    """A subscription as clients write it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(min_length=1, max_length=200, examples=["orders to the warehouse"])
    event_types: tuple[Annotated[str, Field(max_length=255)], ...] = Field(
        min_length=1, max_length=100, examples=[["order.*"]], description="Patterns: exact, `order.*`, or `*`."
    )
    channel: str = Field(max_length=50, examples=["file"])
    target: dict[str, Any] = Field(examples=[{"name": "orders"}])
    filter: dict[str, Any] | None = Field(default=None, examples=[{"data.total": {"gte": 100}}])
    template: dict[str, Any] | None = Field(default=None, description="Overrides of the channel's template fields.")
    retry_schedule: RetrySchedule | None = Field(
        default=None, description="Seconds to wait after attempt 1, 2, …; `Retry-After` of a 429 takes their place."
    )
    timeout: float | None = Field(
        default=None,
        ge=SHORTEST_TIMEOUT,
        le=LONGEST_TIMEOUT,
        allow_inf_nan=False,
        strict=True,
        description="Seconds that an attempt may take.",
    )
    max_in_flight: int = Field(default=DEFAULT_MAX_IN_FLIGHT, ge=1, le=MOST_IN_FLIGHT, strict=True)
    rate_limit: RateLimit | None = None
    enabled: bool = Field(default=True, strict=True)


class SubscriptionView(SubscriptionSpec):
    """A subscription as it is shown: secrets masked."""

    id: str = Field(examples=["sub_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])
    disabled_reason: str | None = None
    unavailable: str | None = Field(
        default=None,
        description="Why deliveries are held although the subscription is enabled: a setting of the operator is "
        "missing, the provider refuses it, secrets of the target are lost, or only a newer version can read it.",
        examples=["mail is not set up: set HUB_SMTP_URL or HUB_EMAIL_PROVIDER"],
    )
    missing_secrets: list[str] = Field(
        default=[], description="Pointers to secrets that cannot be decrypted any more; set again, its deliveries flow."
    )
    created_at: datetime
    updated_at: datetime


def new_address() -> str:
    """See `Subscription.address`."""
    return token_hex(8)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription ready to be matched and sent to."""

    id: str
    tenant: str
    spec: SubscriptionSpec
    """`spec.target` is the masked form; `target` is the real one."""
    target: TargetModel
    filter: Filter | None
    per_second: float | None
    """Attempts per second of its lane: its own limit, otherwise the channel's."""
    disabled_reason: str | None
    created_at: datetime
    updated_at: datetime
    address: str = ""
    """Names where its target is; a new name when that changes, or when the subscription is enabled again. What is known
    of a target's health belongs to it. Those of older releases have none until then."""
    version: int = 0
    """The version of the catalogue in which it was written; 0 before that."""
    sealed_with: frozenset[str] = frozenset()
    """The fingerprints of the operator's secrets with which its own are sealed in the store."""
    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """The members of its record that only a newer version knows; see `hub.catalogue.unknown_members`."""

    @property
    def unread(self) -> str | None:
        """Why it is not known here which events it selects; None for every subscription that this version can read."""
        return self.target.held if isinstance(self.target, ForeignTarget) and not self.target.matches else None

    @property
    def patterns(self) -> tuple[str, ...]:
        return self.spec.event_types

    @property
    def schedule(self) -> Sequence[float]:
        return DEFAULT_SCHEDULE if self.spec.retry_schedule is None else self.spec.retry_schedule

    def view(self, unavailable: str | None = None) -> SubscriptionView:
        # Not validated again: each member comes from a spec that was.
        return SubscriptionView.model_construct(
            **{name: getattr(self.spec, name) for name in SubscriptionSpec.model_fields},
            id=self.id,
            disabled_reason=self.disabled_reason,
            unavailable=unavailable,
            missing_secrets=[*self.target.missing] if isinstance(self.target, UnreadableTarget) else [],
            created_at=self.created_at,
            updated_at=self.updated_at,
        )
