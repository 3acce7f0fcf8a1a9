"""Makes subscriptions of what clients write, and encodes them as records of the store."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Any

import orjson
from pydantic import ValidationError

from channels.base import Channel, SignedTarget, TargetModel
from hub.catalogue.patterns import check_patterns
from hub.catalogue.sealing import SealBroken, Sealer, mask_model
from hub.catalogue.subscriptions.filters import Filter, compile_filter, refuse_contradiction
from hub.catalogue.subscriptions.model import SHORTEST_TIMEOUT, Subscription, SubscriptionSpec
from hub.catalogue.subscriptions.unreadable import UnreadableTarget
from hub.errors import Conflict, Fault, Forbidden, Invalid
from hub.ids import new_id
from hub.models import Event, Record
from hub.rendering import Renderer
from hub.stores.base import SLOWEST_PER_SECOND
from hub.validation import pydantic_faults

MAX_EXAMPLES = 20


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
        if spec.template is not None:
            self._renderer.check(spec.channel, spec.template, target)
        return self._assemble(
            filter=_built_filter(spec, current),
            id=current.id if current else new_id("sub"),
            tenant=tenant,
            spec=spec,
            target=target,
            # A change of something else keeps the reason for which it was disabled.
            disabled_reason=None if spec.enabled else (current and current.disabled_reason) or "disabled on request",
            created_at=current.created_at if current else at,
            updated_at=at,
        )

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
        rate = spec.rate_limit.per_second if spec.rate_limit else self._channels[spec.channel].rate_per_second
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
        doc = subscription.spec.model_dump(mode="json", exclude={"target"})
        doc["target"] = (
            subscription.target.document
            if isinstance(subscription.target, UnreadableTarget)
            else self._sealer.seal_model(subscription.target, tenant=subscription.tenant, owner=subscription.id)
        )
        doc["disabled_reason"] = subscription.disabled_reason
        doc["created_at"] = subscription.created_at
        doc["updated_at"] = subscription.updated_at
        return Record("subscription", subscription.tenant, subscription.id, orjson.dumps(doc))

    def decode(self, record: Record) -> Subscription:
        """Raises `Conflict` when its channel is not installed. Secrets that cannot be decrypted make an
        `UnreadableTarget`."""
        doc = orjson.loads(record.doc or b"{}")
        channel = self._channels.get(doc["channel"])
        if channel is None:
            raise Conflict(f"Subscription {record.id} uses the channel {doc['channel']}: install it and start again.")
        target, sealed_with = self._open(channel, doc.pop("target"), record)
        members = {name: doc.pop(name) for name in ("disabled_reason", "created_at", "updated_at")}
        for name in ("created_at", "updated_at"):
            members[name] = datetime.fromisoformat(members[name])
        spec = SubscriptionSpec.model_validate({**doc, **_bounded(doc), "target": {}})
        return self._assemble(
            id=record.id,
            tenant=record.tenant,
            spec=spec,
            target=target,
            filter=compile_filter(spec.filter, stored=True) if spec.filter else None,
            version=record.version,
            sealed_with=sealed_with,
            **members,
        )

    def _open(
        self, channel: Channel[Any], document: Mapping[str, Any], record: Record
    ) -> tuple[TargetModel, frozenset[str]]:
        place = {"tenant": record.tenant, "owner": record.id}
        try:
            opened = self._sealer.open_model(channel.Target, document, **place)
            return opened, self._sealer.sealed_with(document, **place)
        except SealBroken:
            return UnreadableTarget.of(document), frozenset()


def _bounded(doc: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a stored policy of which an earlier release took less than is allowed now, raised to that."""
    bounded: dict[str, Any] = {}
    if (timeout := doc.get("timeout")) is not None:
        bounded["timeout"] = max(timeout, SHORTEST_TIMEOUT)
    if (limit := doc.get("rate_limit")) is not None:
        bounded["rate_limit"] = {**limit, "per_second": max(limit["per_second"], SLOWEST_PER_SECOND)}
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


def _with_previous_secrets(target: TargetModel, current: Subscription | None) -> TargetModel:
    """The target with the previous secrets of the current one, which stay valid through their grace time."""
    if current is None or not isinstance(target, SignedTarget) or not isinstance(current.target, SignedTarget):
        return target
    return target.model_copy(update={"previous_secrets": current.target.previous_secrets})


def _shown(target: TargetModel) -> dict[str, Any]:
    """A target as it is shown and may be sent back: secrets masked, and without the members that rotation writes."""
    return {name: value for name, value in mask_model(target).items() if name != "previous_secrets"}
