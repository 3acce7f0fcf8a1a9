"""Creating and changing subscriptions."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from channels.base import SignedTarget
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.event_types.service import EventTypes
from hub.catalogue.keys.model import Principal
from hub.catalogue.sealing import reveal_model, unmask
from hub.catalogue.subscriptions.codec import SubscriptionCodec
from hub.catalogue.subscriptions.model import Subscription, SubscriptionSpec, new_address
from hub.catalogue.subscriptions.unreadable import ForeignTarget, UnreadableTarget
from hub.clock import Clock
from hub.compute import ComputePool
from hub.errors import Conflict, Invalid, NotFound
from hub.models import Delivery, FeedEntry, FeedKind, Record
from hub.stores.base import Effect
from hub.validation import pydantic_faults


class Subscriptions:
    """Creates and changes the subscriptions of a tenant. A change is in force when its method returns.

    Example:

        spec = SubscriptionSpec(name="audit", event_types=("order.*",), channel="file", target={"name": "orders"})
        created = await subscriptions.create(principal, spec)
        await subscriptions.disable(created.tenant, created.id, "the audit is over")
        subscriptions.find(created.tenant, created.id).spec.enabled  # False
    """

    def __init__(self, catalogue: Catalogue, codec: SubscriptionCodec, clock: Clock, compute: ComputePool) -> None:
        self._catalogue = catalogue
        self._codec = codec
        self._clock = clock
        self._compute = compute
        self._event_types = EventTypes(catalogue, clock, compute)

    def find(self, tenant: str, subscription_id: str) -> Subscription:
        """Raises `NotFound`."""
        subscription = self._catalogue.subscriptions(tenant).get(subscription_id)
        if subscription is None:
            raise NotFound("There is no such subscription.")
        return subscription

    def name_of(self, delivery: Delivery) -> str | None:
        """The present name of a delivery's subscription; None where that is gone."""
        return self._catalogue.subscription_name(delivery.subscription_id)

    def channels(self, tenant: str) -> set[str]:
        """The channels that there are, and those that subscriptions of the tenant still name."""
        return {*self._codec.channels, *(one.spec.channel for one in self.listing(tenant))}

    def listing(self, tenant: str) -> list[Subscription]:
        """Newest first."""
        return sorted(self._catalogue.subscriptions(tenant).values(), key=lambda s: s.id, reverse=True)

    async def create(self, principal: Principal, spec: SubscriptionSpec) -> Subscription:
        """Raises `Invalid` where the spec breaks a rule."""
        await self._prepare(principal.tenant, spec.template, spec.target)
        made = self._built(principal, spec)
        await self._catalogue.change(lambda: ([self._codec.encode(made)], []))
        return made

    async def patch(self, principal: Principal, subscription_id: str, merge: dict[str, Any]) -> Subscription:
        """Apply a JSON merge patch (RFC 7396), in which `filter`, `template` and `retry_schedule` are values that are
        replaced whole. A secret that comes back as it is shown, masked, stays as it is."""
        await self._prepare(principal.tenant, merge.get("template"), merge.get("target"), of=subscription_id)
        return await self._rebuild(principal, subscription_id, lambda current: _patched(current, merge))

    async def put(self, principal: Principal, subscription_id: str, spec: SubscriptionSpec) -> Subscription:
        """Replace all that clients write. A secret that comes back masked stays as it is, and so does the signing
        secret where the target names none: receivers verify with it."""
        await self._prepare(principal.tenant, spec.template, spec.target)
        return await self._rebuild(principal, subscription_id, lambda current: _replaced(current, spec))

    async def _prepare(self, tenant: str, *values: Any, of: str | None = None) -> None:
        """Compile the templates of a request, and those of the subscription that stay: all of them are checked."""
        current = None if of is None else self._catalogue.subscriptions(tenant).get(of)
        stay = () if current is None else (current.spec.template, current.spec.target)
        await self._codec.prepare(tenant, (*values, *stay), self._compute)

    async def _rebuild(
        self, principal: Principal, subscription_id: str, change: Callable[[Subscription], SubscriptionSpec]
    ) -> Subscription:
        def edit(current: Subscription) -> Subscription:
            if isinstance(current.target, ForeignTarget):
                current.target.refuse_change()
            return self._built(principal, change(current), current)

        return await self._edit(principal.tenant, subscription_id, edit)

    def _built(self, principal: Principal, spec: SubscriptionSpec, current: Subscription | None = None) -> Subscription:
        tenant, now = principal.tenant, self._clock.now()
        built = self._codec.build(tenant, spec, by_operator=principal.is_operator, at=now, current=current)
        self._codec.check_examples(built, self._event_types.examples(tenant, built.patterns))
        return built

    async def enable(self, tenant: str, subscription_id: str) -> Subscription:
        """Held deliveries flow again."""
        return await self._edit(
            tenant, subscription_id, lambda current: self._switched(current, enabled=True, reason=None)
        )

    async def disable(self, tenant: str, subscription_id: str, reason: str) -> Subscription:
        """New deliveries are created and held, and so are those that are not sent yet."""
        return await self._edit(
            tenant, subscription_id, lambda current: self._switched(current, enabled=False, reason=reason)
        )

    def disabling(self, subscription_id: str, address: str, reason: str) -> Effect | None:
        """What disables a subscription together with the result of an attempt to this address; None when it is
        disabled or deleted already, or its target is elsewhere."""
        current = self._catalogue.subscription(subscription_id)
        if current is None or current.address != address or not current.spec.enabled:
            return None
        disabled = self._switched(current, enabled=False, reason=reason)
        return Effect(self._codec.encode(disabled), current.version, tuple(_switch_entries(current, disabled)))

    async def rotate(self, tenant: str, subscription_id: str, grace: timedelta) -> Subscription:
        """Make a new signing secret. For `grace`, messages are signed with the old one as well."""

        def edit(current: Subscription) -> Subscription:
            signed = signed_target(current)
            now = self._clock.now()
            return self._codec.retarget(current, signed.rotated(now + grace), now)

        return await self._edit(tenant, subscription_id, edit)

    async def delete(self, tenant: str, subscription_id: str) -> None:
        """Deliveries that are not sent yet are cancelled."""

        def build() -> tuple[list[Record], list[FeedEntry]]:
            # The deliveries are not touched here: workers claim those that are left and cancel them.
            found = self.find(tenant, subscription_id)
            return [Record("subscription", tenant, found.id, None)], []

        await self._catalogue.change(build)

    def _switched(self, current: Subscription, *, enabled: bool, reason: str | None) -> Subscription:
        if current.spec.enabled == enabled:
            return current
        spec = current.spec.model_copy(update={"enabled": enabled})
        # A person who enables a subscription wants it to be tried now, whatever was known of its target before.
        address = new_address() if enabled else current.address
        return replace(current, spec=spec, address=address, disabled_reason=reason, updated_at=self._clock.now())

    async def _edit(
        self, tenant: str, subscription_id: str, edit: Callable[[Subscription], Subscription]
    ) -> Subscription:
        def build() -> tuple[list[Record], list[FeedEntry]]:
            # Runs again when another process has changed the catalogue, and then edits what that process wrote.
            current = self.find(tenant, subscription_id)
            edited = edit(current)
            if edited is current:
                return [], []
            return [self._codec.encode(edited)], _switch_entries(current, edited)

        await self._catalogue.change(build)
        return self.find(tenant, subscription_id)


def signed_target(subscription: Subscription) -> SignedTarget:
    """Raises `Conflict` when the channel does not sign, or the secret cannot be decrypted."""
    if isinstance(subscription.target, ForeignTarget):
        subscription.target.refuse_change()
    if isinstance(subscription.target, UnreadableTarget):
        raise Conflict("The secrets of this target cannot be decrypted; set them again with PATCH.")
    if not isinstance(subscription.target, SignedTarget):
        raise Conflict(f"The channel {subscription.spec.channel} does not sign its messages: there is no secret.")
    return subscription.target


def _switch_entries(before: Subscription, after: Subscription) -> list[FeedEntry]:
    if before.spec.enabled == after.spec.enabled:
        return []
    kind = FeedKind.SUBSCRIPTION_ENABLED if after.spec.enabled else FeedKind.SUBSCRIPTION_DISABLED
    shown = after.view().model_dump_json().encode()
    return [FeedEntry(after.tenant, kind, shown, subscription_id=after.id)]


_WHOLE = ("filter", "template", "retry_schedule")
"""Members that a patch replaces whole: a rule of the old filter would stay without a word, and null, which removes a
member, is an operand of rules."""


def _patched(current: Subscription, merge: dict[str, Any]) -> SubscriptionSpec:
    document = current.spec.model_dump(mode="json")
    # In clear, because the channel validates the merged target. The previous secrets are not the client's to change:
    # `build` takes them over.
    document["target"] = reveal_model(current.target)
    document["target"].pop("previous_secrets", None)
    patch = dict(merge)
    if patch.get("channel", current.spec.channel) != current.spec.channel:
        # Another channel has other members, so nothing of the old target is carried over.
        document["target"] = {}
    else:
        if isinstance(current.target, UnreadableTarget):
            current.target.refuse_without(patch.get("target", {}))
        if isinstance(patch.get("target"), dict):
            patch["target"] = unmask(patch["target"], current.target, "target")
    whole = {name: patch.pop(name) for name in _WHOLE if name in patch}
    try:
        return SubscriptionSpec.model_validate({**_merged(document, patch), **whole})
    except ValidationError as error:
        faults = pydantic_faults(error, known=SubscriptionSpec.model_fields)
        raise Invalid("The patched subscription is not valid; see `errors`.", errors=faults) from None


def _replaced(current: Subscription, spec: SubscriptionSpec) -> SubscriptionSpec:
    if spec.channel != current.spec.channel:
        return spec
    if isinstance(current.target, UnreadableTarget):
        current.target.refuse_without(spec.target)
    target = unmask(spec.target, current.target, "target")
    if isinstance(current.target, SignedTarget):
        target.setdefault("secret", current.target.secret.get_secret_value())
    return spec.model_copy(update={"target": target})


def _merged(document: Any, patch: Any) -> Any:
    """RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged
