"""Subscriptions are made, patched, switched and deleted; secrets that come back masked stay as they are."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from channels.base import SignedTarget
from hub.catalogue.catalogue import Catalogue
from hub.catalogue.keys import Principal
from hub.catalogue.subscriptions import Subscription, SubscriptionCodec, SubscriptionSpec
from hub.catalogue.subscriptions.service import Subscriptions, signed_target
from hub.compute import ComputePool
from hub.errors import Conflict, Invalid, NotFound
from hub.models import FeedKind, Scope
from hub.stores.base import Store
from hub.testing.clock import ManualClock

CALLER = Principal("key_1", "acme", frozenset({Scope.MANAGE}))
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAA"
HOOK = {"url": "https://example.com/hooks", "secret": SECRET, "headers": {"X-Token": "t-0123456789", "X-Old": "o"}}


@pytest.fixture
def subscriptions(catalogue: Catalogue, codec: SubscriptionCodec, clock: ManualClock) -> Subscriptions:
    return Subscriptions(catalogue, codec, clock, ComputePool())


async def create(subscriptions: Subscriptions, **members: Any) -> Subscription:
    spec = {"name": "all", "event_types": ["*"], "channel": "webhook", "target": HOOK, **members}
    return await subscriptions.create(CALLER, SubscriptionSpec.model_validate(spec))


def secrets(subscription: Subscription) -> dict[str, str]:
    """All secrets of a target, in clear."""
    target = subscription.target.model_dump()
    headers = {name: value.get_secret_value() for name, value in target["headers"].items()}
    return {"secret": target["secret"].get_secret_value(), **headers}


async def switches(store: Store) -> list[tuple[str, str]]:
    rows = await store.feed.read(0, 100)
    return [(row.entry.kind, orjson.loads(row.entry.data)["id"]) for row in rows]


async def test_what_was_created_is_found_by_its_tenant_alone(subscriptions: Subscriptions) -> None:
    ids = [(await create(subscriptions)).id for _ in range(3)]
    assert [found.id for found in subscriptions.listing("acme")] == ids[::-1]
    assert subscriptions.find("acme", ids[0]).id == ids[0]
    assert subscriptions.listing("other") == []
    with pytest.raises(NotFound):
        subscriptions.find("other", ids[0])


async def test_a_patch_changes_what_it_names_and_removes_what_is_null(
    subscriptions: Subscriptions, clock: ManualClock
) -> None:
    made = await create(subscriptions, filter={"subject": "a"}, timeout=3.0)
    clock.advance(1)
    patch = {"name": "renamed", "filter": None, "target": {"headers": {"X-Old": None, "X-New": "n"}}}
    patched = await subscriptions.patch(CALLER, made.id, patch)
    assert (patched.spec.name, patched.filter, patched.spec.timeout) == ("renamed", None, 3.0)
    assert secrets(patched) == {"secret": SECRET, "X-Token": "t-0123456789", "X-New": "n"}
    assert (patched.created_at, patched.updated_at) == (made.created_at, clock.now())


async def test_a_subscription_may_be_sent_back_as_it_is_shown(subscriptions: Subscriptions) -> None:
    made = await create(subscriptions)
    shown = made.spec.model_dump(mode="json")
    assert SECRET not in str(shown)
    patched = await subscriptions.patch(CALLER, made.id, shown)
    assert secrets(patched) == secrets(made)


async def test_a_filter_that_was_stored_before_it_was_looked_through_stays_when_something_else_changes(
    subscriptions: Subscriptions, catalogue: Catalogue, codec: SubscriptionCodec
) -> None:
    made = await create(subscriptions)
    record = codec.encode(made)
    document = {**orjson.loads(record.doc or b""), "filter": {"data.a[b": 1, "data.x": {"gt": 2, "lt": 1}}}
    await catalogue.change(lambda: ([replace(record, doc=orjson.dumps(document))], []))
    patched = await subscriptions.patch(CALLER, made.id, {"name": "renamed"})
    assert (patched.spec.name, patched.spec.filter) == ("renamed", document["filter"])
    with pytest.raises(Invalid):
        await subscriptions.patch(CALLER, made.id, {"filter": {"data.x": {"gt": 2, "lt": 1}}})


async def test_a_target_of_another_channel_is_built_from_nothing(subscriptions: Subscriptions) -> None:
    made = await create(subscriptions)
    patched = await subscriptions.patch(CALLER, made.id, {"channel": "file", "target": {"name": "orders"}})
    assert patched.target.model_dump() == {"name": "orders"}
    with pytest.raises(Invalid):
        await subscriptions.patch(CALLER, made.id, {"channel": "webhook"})


async def test_a_patch_that_is_refused_leaves_the_subscription_as_it_was(subscriptions: Subscriptions) -> None:
    made = await create(subscriptions)
    for patch in ({"name": ""}, {"target": {"url": "example.com"}}, {"target": 5}, {"more": 1}):
        with pytest.raises(Invalid):
            await subscriptions.patch(CALLER, made.id, patch)
    assert subscriptions.find("acme", made.id).view() == made.view()


async def test_switching_is_told_once_to_listeners_and_kept_with_its_reason(
    subscriptions: Subscriptions, store: Store
) -> None:
    made = await create(subscriptions)
    disabled = await subscriptions.disable("acme", made.id, "HTTP 410")
    assert await subscriptions.disable("acme", made.id, "another") is disabled
    assert disabled.disabled_reason == "HTTP 410"
    for _ in range(2):
        assert (await subscriptions.enable("acme", made.id)).disabled_reason is None
    await subscriptions.patch(CALLER, made.id, {"enabled": False})
    assert await switches(store) == [
        ("subscription.disabled", made.id),
        ("subscription.enabled", made.id),
        ("subscription.disabled", made.id),
    ]


@pytest.mark.parametrize(
    ("patch", "moved"),
    [
        ({"name": "renamed", "max_in_flight": 3, "rate_limit": {"per_second": 5.0}}, False),
        ({"target": {"secret": "whsec_AAKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwAAAA"}}, False),
        ({"enabled": False}, False),
        ({"target": {"url": "https://example.com/others"}}, True),
        ({"target": {"headers": {"X-Token": "another"}}}, True),
        ({"channel": "file", "target": {"name": "orders"}}, True),
    ],
)
async def test_a_target_is_at_another_address_when_messages_go_elsewhere_or_in_another_way(
    subscriptions: Subscriptions, patch: dict[str, Any], moved: bool
) -> None:
    made = await create(subscriptions)
    assert ((await subscriptions.patch(CALLER, made.id, patch)).address != made.address) is moved


async def test_enabling_begins_at_a_new_address_in_both_ways(subscriptions: Subscriptions) -> None:
    made = await create(subscriptions, enabled=False)
    enabled = await subscriptions.enable("acme", made.id)
    assert (await subscriptions.enable("acme", made.id)).address == enabled.address
    disabled = await subscriptions.disable("acme", made.id, "for now")
    again = await subscriptions.patch(CALLER, made.id, {"enabled": True})
    assert len({made.address, enabled.address, again.address}) == 3
    assert disabled.address == enabled.address


async def test_what_an_attempt_disables_is_still_at_its_address(subscriptions: Subscriptions) -> None:
    made = subscriptions.find("acme", (await create(subscriptions)).id)
    effect = subscriptions.disabling(made.id, made.address, "HTTP 410")
    assert effect is not None
    assert (effect.version, [entry.kind for entry in effect.feed]) == (made.version, [FeedKind.SUBSCRIPTION_DISABLED])
    assert subscriptions.disabling(made.id, "elsewhere", "HTTP 410") is None
    await subscriptions.disable("acme", made.id, "for now")
    assert subscriptions.disabling(made.id, made.address, "HTTP 410") is None
    assert subscriptions.disabling("sub_gone", made.address, "HTTP 410") is None


async def test_a_rotation_makes_a_new_secret_and_keeps_the_old_one_for_its_grace(
    subscriptions: Subscriptions, clock: ManualClock
) -> None:
    made = await create(subscriptions)
    rotated = signed_target(await subscriptions.rotate("acme", made.id, timedelta(hours=1)))
    assert rotated.secret.get_secret_value() != SECRET
    (previous,) = rotated.previous_secrets
    assert (previous.secret.get_secret_value(), previous.expires_at) == (SECRET, clock.now() + timedelta(hours=1))
    patched = await subscriptions.patch(CALLER, made.id, {"target": {"url": "https://example.com/other"}})
    assert isinstance(patched.target, SignedTarget)
    assert patched.target.previous_secrets == (previous,)


async def test_a_channel_that_does_not_sign_has_nothing_to_rotate(subscriptions: Subscriptions) -> None:
    made = await create(subscriptions, channel="file", target={"name": "orders"})
    with pytest.raises(Conflict):
        await subscriptions.rotate("acme", made.id, timedelta(hours=1))


async def test_what_is_deleted_is_gone_for_every_change(subscriptions: Subscriptions) -> None:
    made = await create(subscriptions)
    await subscriptions.delete("acme", made.id)
    for change in (
        subscriptions.delete("acme", made.id),
        subscriptions.enable("acme", made.id),
        subscriptions.patch(CALLER, made.id, {}),
    ):
        with pytest.raises(NotFound):
            await change
