"""Filters are applied on the event loop only where that costs little, and hold for the same events wherever."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from hub.catalogue.matching import Matcher, held_of
from hub.catalogue.subscriptions import Subscription, SubscriptionCodec, SubscriptionSpec
from hub.compute import Budget, ComputePool, OverBudget
from hub.models import Event
from hub.testing.clock import START

LONG = "y" * 250_000


@pytest.fixture
async def compute() -> AsyncIterator[ComputePool]:
    async with ComputePool() as opened:
        yield opened


@pytest.fixture
def subscribed(codec: SubscriptionCodec) -> list[Subscription]:
    filters: list[dict[str, Any] | None] = [
        None,
        {"data.a": {"prefix": "y"}},
        {"data.a": {"prefix": "z"}},
        {"any": [{"data.a": {"contains": "y" * 1_000 + f"z{i}"}} for i in range(100)]},
        {"data.a": {"contains": "yy"}},
        {"data.b[]": {"gt": 5}},
    ]
    specs = [
        SubscriptionSpec(name="a", event_types=("*",), channel="file", target={"name": "a"}, filter=one)
        for one in filters
    ]
    return [codec.build("acme", spec, by_operator=False, at=START) for spec in specs]


def event(data: Any) -> Event:
    return Event(
        id="evt_1", tenant="acme", type="a.b", source="x", time=START, data=orjson.dumps(data), accepted_at=START
    )


async def matched(
    subscribed: list[Subscription], data: Any, compute: ComputePool, budget: Budget | None = None
) -> list[int]:
    found = await Matcher(compute).matched(subscribed, event(data), data, budget or Budget(30.0))
    return [subscribed.index(one) for one in found]


@pytest.mark.process
async def test_the_same_filters_hold_for_small_and_large_events(
    subscribed: list[Subscription], compute: ComputePool
) -> None:
    assert await matched(subscribed, {"a": "yyy", "b": [9]}, compute) == [0, 1, 4, 5]
    assert compute.busy == 0
    assert await matched(subscribed, {"a": LONG, "b": [1] * 1_000}, compute) == [0, 1, 4]
    many = [replace(one, id=f"{one.id}{number}") for number in range(40) for one in subscribed]
    assert len(await matched(many, {"a": LONG, "b": [9]}, compute)) == 40 * 4


async def test_many_light_filters_let_others_have_their_turn(
    subscribed: list[Subscription], compute: ComputePool
) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    many = [replace(subscribed[2], id=f"sub_{number}") for number in range(20_000)]
    assert await matched(many, {"a": "x"}, compute) == []
    task.cancel()
    assert turns >= 4


@pytest.mark.process
async def test_what_takes_seconds_is_given_up(subscribed: list[Subscription], compute: ComputePool) -> None:
    with pytest.raises(OverBudget):
        await matched([subscribed[3]] * 60, {"a": LONG}, compute, Budget(0.05))


def test_a_stored_filter_is_read_elsewhere_as_it_is_read_here() -> None:

    assert held_of([b'{"data.a[x": 1}'], {"id": "evt_1"}, b'{"a[x": 1}') == [True]


@pytest.mark.process
async def test_the_same_reasons_are_given_for_small_and_large_events(
    subscribed: list[Subscription], compute: ComputePool
) -> None:
    matcher = Matcher(compute)
    for data in ({"a": "xx", "b": [1]}, {"a": "x" * 100_000, "b": [1]}):
        found = await matcher.mismatches([*subscribed[:3], *subscribed[4:]], event(data), data, Budget(30.0))
        assert [*found.values()] == [
            'data.a prefix "y": began otherwise',
            'data.a prefix "z": began otherwise',
            'data.a contains "yy": did not contain it',
            "data.b[] gt 5: held for no element",
        ]
