"""Which subscriptions an event is for, by their filters: at once where that costs little, and otherwise off the event
loop."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from time import perf_counter
from typing import Any

import orjson

from hub.catalogue.subscriptions import Subscription
from hub.catalogue.subscriptions.filters import Filter, compile_filter
from hub.compute import Budget, ComputePool
from hub.models import Event

TEST_SECONDS = 1e-6
"""What one rule of a filter costs, at most."""
SCAN_SECONDS = 200e-9
"""What a rule that looks at each element or each part of a text costs for each byte of the data, at most."""
AT_ONCE_SECONDS = 0.004
"""What may be spent on the event loop before others have their turn."""
HEAVY_SECONDS = 0.0005
"""A filter that may cost more for one event is tried in another process, where so much is to be done."""
_SENT_AT_ONCE = 64
_COMPILED = 2_048


class Matcher:
    """Applies the filters of subscriptions.

    Example:

        matcher = Matcher(compute)
        subscribed = catalogue.subscribed(event.tenant, event.type)
        await matcher.matched(subscribed, event, data, Budget(1.0))
    """

    def __init__(self, compute: ComputePool) -> None:
        self._compute = compute

    async def matched(
        self, subscribed: Sequence[Subscription], event: Event, data: Any, budget: Budget
    ) -> Sequence[Subscription]:
        """Those of the subscriptions whose filters hold for the event, in their order; `data` is its data, parsed.

        Raises `OverBudget`, and `Unavailable` when too much of this tenant waits to be computed.
        """
        tests = scans = 0
        for subscription in subscribed:
            if (filter_ := subscription.filter) is not None:
                tests += filter_.tests
                scans += filter_.scans
        # What filters see is built only where one looks.
        if not tests:
            return subscribed
        seen = event.seen(data)
        if tests * TEST_SECONDS + scans * len(event.data) * SCAN_SECONDS <= AT_ONCE_SECONDS:
            return [s for s in subscribed if s.filter is None or s.filter.holds(seen)]
        held = await self._held(subscribed, event, seen, budget)
        return [s for s in subscribed if s.id in held]

    async def _held(
        self, subscribed: Sequence[Subscription], event: Event, seen: Mapping[str, Any], budget: Budget
    ) -> set[str]:
        """The ids of those that the event is for. The light filters are applied here, a few at a time."""
        heavy = [s for s in subscribed if s.filter and _seconds(s.filter, event) > HEAVY_SECONDS]
        away = {s.id for s in heavy}
        held = set[str]()
        for some in _slices((s for s in subscribed if s.id not in away), event):
            began = perf_counter()
            held.update(s.id for s in some if s.filter is None or s.filter.holds(seen))
            budget.spend(perf_counter() - began)
            await asyncio.sleep(0)
        if heavy:
            self._compute.refuse_crowd(event.tenant)
        rest, head = iter(heavy), {name: value for name, value in seen.items() if name != "data"}
        while some := list(islice(rest, _SENT_AT_ONCE)):
            documents = [orjson.dumps(s.spec.filter) for s in some]
            found = await self._compute.run(event.tenant, budget, held_of, documents, head, event.data)
            held.update(s.id for s, holds in zip(some, found, strict=True) if holds)
        return held


def _seconds(filter_: Filter, event: Event) -> float:
    return filter_.tests * TEST_SECONDS + filter_.scans * len(event.data) * SCAN_SECONDS


def _slices(subscriptions: Iterable[Subscription], event: Event) -> Iterator[list[Subscription]]:
    """The subscriptions, as many at a time as may be matched at once."""
    some, seconds = list[Subscription](), 0.0
    for subscription in subscriptions:
        some.append(subscription)
        seconds += 0.0 if subscription.filter is None else _seconds(subscription.filter, event)
        if seconds > AT_ONCE_SECONDS:
            yield some
            some, seconds = [], 0.0
    yield some


def held_of(filters: Sequence[bytes], head: Mapping[str, Any], data: bytes) -> list[bool]:
    """Whether each of the filters, as JSON, holds for the event with these other members."""
    seen = {**head, "data": orjson.loads(data)}
    return [_compiled(document).holds(seen) for document in filters]


@lru_cache(maxsize=_COMPILED)
def _compiled(document: bytes) -> Filter:
    return compile_filter(orjson.loads(document), stored=True)
