"""Makes subscriptions of what clients write, and encodes them as records of the store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
from pydantic import ValidationError

from channels.base import Channel, SignedTarget, TargetModel
from hub.catalogue.patterns import check_patterns
from hub.catalogue.sealing import SealBroken, Sealer, mask_model
from hub.catalogue.subscriptions.filters import Filter, compile_filter, refuse_contradiction
from hub.catalogue.subscriptions.model import (
    SHORTEST_TIMEOUT,
    RateLimit,
    Subscription,
    SubscriptionSpec,
    new_address,
)
from hub.catalogue.subscriptions.unreadable import ForeignTarget, UnreadableTarget
from hub.catalogue.unknown_members import Document, split, with_unknown
from hub.compute import ComputePool
from hub.errors import Fault, Forbidden, HubError, Invalid
from hub.ids import new_id
from hub.instants import parse_instant
from hub.models import Event, Record, member_names
from hub.rendering import Renderer
from hub.stores.base import SLOWEST_PER_SECOND
from hub.stores.unreadable import READ_ERRORS
from hub.validation import pydantic_faults

MAX_EXAMPLES = 20
_SPEC_NAMES = member_names(SubscriptionSpec)
_RECORD_NAMES = _SPEC_NAMES | {"address", "disabled_reason", "created_at", "updated_at"}
_RATE_NAMES = member_names(RateLimit)


class SubscriptionCodec:
    """Builds subscriptions from specs, encodes them as records, and decodes records."""

    def __init__(self, channels: Mapping[str, Channel[Any]], renderer: Renderer, sealer: Sealer) -> None:
        self._channels = channels
        self.channels = frozenset(channels)
        """The names of those that there are."""
        self._renderer = renderer
        self._sealer = sealer

    def build(
        self,
        tenant: str,
        spec: SubscriptionSpec,
        *,
        by_operator: bool,
        at: datetime,
        current: Subscription | None = None,
    ) -> Subscription:
        """Check every part of the spec. Raises `Invalid` with a pointer to each place, `Forbidden` for channels that
        only operators may use."""
        channel = self._channels.get(spec.channel)
        if channel is None:
            known = ", ".join(sorted(self._channels))
            raise Invalid("There is no such channel.", errors=[Fault(f"must be one of {known}", "/channel")])
        if channel.operator_only and not by_operator:
            raise Forbidden(f"Only a key with the scope admin may use the channel {spec.channel}.")
        check_patterns(spec.event_types)
        target = _with_previous_secrets(self._target(channel, spec.target), current)
        self._renderer.check_target(target)
        if spec.template is not None and not _is_stored(spec, target, current):
            self._renderer.check(spec.channel, spec.template, target)
        return self._assemble(
            filter=_built_filter(spec, current),
            id=current.id if current else new_id("sub"),
            tenant=tenant,
            spec=spec,
            target=target,
            # A change of something else keeps the reason for which it was disabled.
            disabled_reason=None if spec.enabled else (current and current.disabled_reason) or "disabled on request",
            address=_address(spec, target, current),
            created_at=current.created_at if current else at,
            updated_at=at,
            unknown=_still_unknown(spec, current),
        )

    async def prepare(self, tenant: str, values: Sequence[Any], compute: ComputePool) -> None:
        """Compile the templates in these values where that does not delay others; see `Renderer.prepare`."""
        await self._renderer.prepare(tenant, values, compute)

    def check_examples(self, subscription: Subscription, examples: Iterable[Event]) -> None:
        """Try the template with those of the events that the subscription would get, the first few. Raises `Invalid`
        where the channel could not send what it gives."""
        spec = subscription.spec
        if spec.template is None:
            return
        for event in islice(examples, MAX_EXAMPLES):
            seen = event.seen(orjson.loads(event.data))
            if subscription.filter is None or subscription.filter.holds(seen):
                self._renderer.check_example(spec.channel, spec.template, seen, subscription.target)

    def _assemble(self, *, spec: SubscriptionSpec, target: TargetModel, **members: Any) -> Subscription:
        channel = self._channels.get(spec.channel)
        of_channel = None if channel is None else channel.rate_per_second
        rate = spec.rate_limit.per_second if spec.rate_limit else of_channel
        return Subscription(
            # The spec is what is shown, so it never holds a secret: no route can show one by mistake.
            spec=spec.model_copy(update={"target": _shown(target)}),
            target=target,
            per_second=rate,
            **members,
        )

    def _target(self, channel: Channel[Any], members: dict[str, Any]) -> TargetModel:
        """Validate a target by its channel's model; members that only the hub writes are refused."""
        if issubclass(channel.Target, SignedTarget) and "previous_secrets" in members:
            fault = Fault("is written by rotation only", "/target/previous_secrets")
            raise Invalid("The target is not valid; see `errors`.", errors=[fault])
        try:
            return channel.Target.model_validate(members)
        except ValidationError as error:
            known = [name for name in channel.Target.model_fields if name != "previous_secrets"]
            faults = pydantic_faults(error, "target", known=known)
            raise Invalid("The target is not valid; see `errors`.", errors=faults) from None

    def retarget(self, current: Subscription, target: TargetModel, at: datetime) -> Subscription:
        """The same subscription with another target of its channel."""
        spec = current.spec.model_copy(update={"target": _shown(target)})
        return replace(current, spec=spec, target=target, updated_at=at)

    def encode(self, subscription: Subscription) -> Record:
        """The record of a subscription, with the members that only a newer version knows. Raises `Conflict` where
        nothing of the stored record can be read."""
        target, place = subscription.target, {"tenant": subscription.tenant, "owner": subscription.id}
        if isinstance(target, ForeignTarget):
            if not target.document:
                target.refuse_change()
            doc = {**target.document, "enabled": subscription.spec.enabled}
            if subscription.sealed_with:
                doc["target"] = self._sealer.resealed(doc["target"], **place)
        else:
            doc = subscription.spec.model_dump(mode="json", exclude={"target"})
            doc["target"] = (
                target.document if isinstance(target, UnreadableTarget) else self._sealer.seal_model(target, **place)
            )
            doc = with_unknown(doc, self._unknown_resealed(subscription))
        doc["disabled_reason"] = subscription.disabled_reason
        doc["address"] = subscription.address
        doc["created_at"] = subscription.created_at
        doc["updated_at"] = subscription.updated_at
        return Record("subscription", subscription.tenant, subscription.id, orjson.dumps(doc))

    def decode(self, record: Record) -> Subscription:
        """Never raises. Secrets that cannot be decrypted make an `UnreadableTarget`; a channel, or a whole record, that
        this version does not know makes a `ForeignTarget`."""
        doc: Any = {}
        try:
            doc = orjson.loads(record.doc or b"{}")
            return self._decoded(doc, record)
        except (*READ_ERRORS, HubError) as error:
            return self._foreign(doc if isinstance(doc, dict) else {}, record, error)

    def _decoded(self, doc: Document, record: Record) -> Subscription:
        known, unknown = _split(doc)
        spec = SubscriptionSpec.model_validate({**known, **_bounded(known), "target": {}})
        target, unknown_target, sealed_with = self._open(doc, record)
        if unknown_target:
            unknown["target"] = unknown_target
        return self._assemble(
            id=record.id,
            tenant=record.tenant,
            spec=spec,
            target=target,
            filter=compile_filter(spec.filter, stored=True) if spec.filter else None,
            address=doc.get("address", ""),
            version=record.version,
            sealed_with=sealed_with,
            unknown=unknown,
            disabled_reason=doc["disabled_reason"],
            created_at=datetime.fromisoformat(doc["created_at"]),
            updated_at=datetime.fromisoformat(doc["updated_at"]),
        )

    def _open(self, doc: Document, record: Record) -> tuple[TargetModel, Document, frozenset[str]]:
        """The target, what only a newer version knows of it, and the fingerprints of the keys that seal its secrets."""
        channel = self._channels.get(doc["channel"])
        if channel is None:
            reason = f"it has no channel {doc['channel']}"
            return ForeignTarget.of(doc, reason, matches=True), {}, self._sealed_with(doc, record)
        place = {"tenant": record.tenant, "owner": record.id}
        known, unknown = split(doc["target"], channel.Target)
        try:
            opened = self._sealer.open_model(channel.Target, known, **place)
            return opened, unknown, self._sealer.sealed_with(doc["target"], **place)
        except SealBroken:
            return UnreadableTarget.of(known), unknown, frozenset()

    def _foreign(self, doc: Document, record: Record, error: Exception) -> Subscription:
        """What stands in for a subscription that cannot be read: it selects no event, and everything of it is held."""
        target = ForeignTarget.of(doc, _reason(error), matches=False)
        name, channel, disabled_reason = doc.get("name"), doc.get("channel"), doc.get("disabled_reason")
        spec = SubscriptionSpec.model_construct(
            name=name if isinstance(name, str) else record.id,
            event_types=(),
            target={},
            channel=channel if isinstance(channel, str) else "",
            enabled=doc.get("enabled") is not False,
        )
        return self._assemble(
            id=record.id,
            tenant=record.tenant,
            spec=spec,
            target=target,
            filter=None,
            version=record.version,
            address=str(doc.get("address", "")),
            sealed_with=self._sealed_with(doc, record),
            disabled_reason=disabled_reason if isinstance(disabled_reason, str) else None,
            created_at=_instant(doc.get("created_at")),
            updated_at=_instant(doc.get("updated_at")),
        )

    def _sealed_with(self, doc: Document, record: Record) -> frozenset[str]:
        """The fingerprints of the keys of a document that cannot be read; none where not even these can be told."""
        try:
            return self._sealer.sealed_with(doc["target"], tenant=record.tenant, owner=record.id)
        except (*READ_ERRORS, SealBroken):
            return frozenset()

    def _unknown_resealed(self, subscription: Subscription) -> Document:
        if "target" not in subscription.unknown:
            return subscription.unknown
        try:
            place = {"tenant": subscription.tenant, "owner": subscription.id}
            target = self._sealer.resealed(subscription.unknown["target"], **place)
        except SealBroken:
            return subscription.unknown
        return {**subscription.unknown, "target": target}


def _split(doc: Document) -> tuple[Document, dict[str, Any]]:
    """The members of a record that a spec has, and those that only a newer version knows."""
    known = {name: value for name, value in doc.items() if name in _SPEC_NAMES}
    unknown: dict[str, Any] = {name: doc[name] for name in doc.keys() - _RECORD_NAMES}
    rate = doc.get("rate_limit")
    if rate and (names := rate.keys() - _RATE_NAMES):
        known["rate_limit"] = {name: value for name, value in rate.items() if name not in names}
        unknown["rate_limit"] = {name: rate[name] for name in names}
    return known, unknown


def _reason(error: Exception) -> str:
    """What is unknown, by its place. It repeats no value."""
    if isinstance(error, ValidationError):
        return ", ".join(sorted({fault.pointer for fault in pydantic_faults(error)}))
    if isinstance(error, HubError):
        return ", ".join(sorted({fault.pointer for fault in error.errors})) or "its filter"
    return f"its record ({type(error).__name__})"


def _instant(text: object) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _bounded(doc: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a stored policy of which an earlier release took less than is allowed now, raised to that."""
    bounded: dict[str, Any] = {}
    if isinstance(timeout := doc.get("timeout"), int | float) and 0 < timeout < SHORTEST_TIMEOUT:
        bounded["timeout"] = SHORTEST_TIMEOUT
    limit = doc.get("rate_limit")
    rate = limit.get("per_second") if isinstance(limit, dict) else None
    if isinstance(rate, int | float) and 0 < rate < SLOWEST_PER_SECOND:
        bounded["rate_limit"] = {**doc["rate_limit"], "per_second": SLOWEST_PER_SECOND}
    return bounded


def _built_filter(spec: SubscriptionSpec, current: Subscription | None) -> Filter | None:
    """Raises `Invalid` for a filter that is malformed, or can never match."""
    if not spec.filter:
        return None
    if current is not None and current.spec.filter == spec.filter:
        # It may come from a release that took more: a change of something else must not fail for it.
        return compile_filter(spec.filter, stored=True)
    found = compile_filter(spec.filter)
    refuse_contradiction(found, spec.event_types)
    return found


def _is_stored(spec: SubscriptionSpec, target: TargetModel, current: Subscription | None) -> bool:
    """Whether the template is that of the current subscription, for the same target. Another version may have taken it:
    a change of something else must not fail for it."""
    stored = None if current is None else (current.spec.channel, current.spec.template, current.target)
    return stored == (spec.channel, spec.template, target)


def _still_unknown(spec: SubscriptionSpec, current: Subscription | None) -> Document:
    """The members of the current record that only a newer version knows, without those of the target of another
    channel."""
    if current is None or current.spec.channel == spec.channel:
        return current.unknown if current else {}
    return {name: value for name, value in current.unknown.items() if name != "target"}


def _address(spec: SubscriptionSpec, target: TargetModel, current: Subscription | None) -> str:
    """That of the current subscription, as long as its messages go to the same place in the same way."""
    if current is None or spec.channel != current.spec.channel or _place(target) != _place(current.target):
        return new_address()
    # A person who enables a subscription wants it to be tried now.
    return new_address() if spec.enabled and not current.spec.enabled else current.address


def _place(target: TargetModel) -> dict[str, Any]:
    """All of a target but the secrets that its messages are signed with: a receiver that was away is not back because
    they changed."""
    return target.model_dump(exclude={*SignedTarget.model_fields} if isinstance(target, SignedTarget) else None)


def _with_previous_secrets(target: TargetModel, current: Subscription | None) -> TargetModel:
    """The target with the previous secrets of the current one, which stay valid through their grace time."""
    if current is None or not isinstance(target, SignedTarget) or not isinstance(current.target, SignedTarget):
        return target
    return target.model_copy(update={"previous_secrets": current.target.previous_secrets})


def _shown(target: TargetModel) -> dict[str, Any]:
    """A target as it is shown and may be sent back: secrets masked, and without the members that rotation writes."""
    return {name: value for name, value in mask_model(target).items() if name != "previous_secrets"}
