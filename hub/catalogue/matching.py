"""Which subscriptions an event is for, by their filters: at once where that costs little, and otherwise off the event
loop."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from time import perf_counter
from typing import Any, TypeVar

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
R = TypeVar("R")


class Matcher:
    """Applies the filters of subscriptions.

    Example:

        matcher = Matcher(compute)
        subscribed = catalogue.subscribed(event.tenant, event.type)
        await matcher.matched(subscribed, event, data, Budget(1.0))
    """

    def __init__(self, compute: ComputePool) -> None:
        self._compute = compute

    def matched_at_once(
        self, subscribed: Sequence[Subscription], event: Event, data: Any
    ) -> Sequence[Subscription] | None:
        """As `matched`, where that costs little; None where it may cost more."""
        tests = scans = 0
        for subscription in subscribed:
            if (filter_ := subscription.filter) is not None:
                tests += filter_.tests
                scans += filter_.scans
        # What filters see is built only where one looks.
        if not tests:
            return subscribed
        if tests * TEST_SECONDS + scans * len(event.data) * SCAN_SECONDS > AT_ONCE_SECONDS:
            return None
        seen = event.seen(data)
        return [s for s in subscribed if s.filter is None or s.filter.holds(seen)]

    async def matched(
        self, subscribed: Sequence[Subscription], event: Event, data: Any, budget: Budget
    ) -> Sequence[Subscription]:
        """Those of the subscriptions whose filters hold for the event, in their order; `data` is its data, parsed.

        Raises `OverBudget`, and `Unavailable` when too much of this tenant waits to be computed.
        """
        found = self.matched_at_once(subscribed, event, data)
        if found is not None:
            return found
        held = await self._applied(subscribed, event, event.seen(data), budget, Filter.holds, held_of)
        return [s for s in subscribed if held.get(s.id, True)]

    async def mismatches(
        self, subscribed: Sequence[Subscription], event: Event, data: Any, budget: Budget
    ) -> Mapping[str, str | None]:
        """By the ids of the subscriptions that have a filter, why it does not hold for the event; None where it does.

        Raises as `matched`.
        """
        return await self._applied(subscribed, event, event.seen(data), budget, Filter.check, mismatches_of)

    async def _applied(
        self,
        subscribed: Sequence[Subscription],
        event: Event,
        seen: Mapping[str, Any],
        budget: Budget,
        here: Callable[[Filter, Mapping[str, Any]], R],
        elsewhere: Callable[[Sequence[bytes], Mapping[str, Any], bytes], list[R]],
    ) -> dict[str, R]:
        """What the filters give, by the ids of the subscriptions. The light ones are applied here, a few at a time."""
        with_filter = [(s, s.filter) for s in subscribed if s.filter is not None]
        heavy = [s for s, filter_ in with_filter if _seconds(filter_, event) > HEAVY_SECONDS]
        given = dict[str, R]()
        for some in _slices([one for one in with_filter if _seconds(one[1], event) <= HEAVY_SECONDS], event):
            began = perf_counter()
            given.update((s.id, here(filter_, seen)) for s, filter_ in some)
            budget.spend(perf_counter() - began)
            await asyncio.sleep(0)
        if heavy:
            self._compute.refuse_crowd(event.tenant)
        rest, head = iter(heavy), {name: value for name, value in seen.items() if name != "data"}
        while some_heavy := list(islice(rest, _SENT_AT_ONCE)):
            documents = [orjson.dumps(s.spec.filter) for s in some_heavy]
            found = await self._compute.run(event.tenant, budget, elsewhere, documents, head, event.data)
            given.update(zip((s.id for s in some_heavy), found, strict=True))
        return given


def _seconds(filter_: Filter, event: Event) -> float:
    return filter_.tests * TEST_SECONDS + filter_.scans * len(event.data) * SCAN_SECONDS


def _slices(
    filters: Iterable[tuple[Subscription, Filter]], event: Event
) -> Iterator[list[tuple[Subscription, Filter]]]:
    """The filters, as many at a time as may be applied at once."""
    some, seconds = list[tuple[Subscription, Filter]](), 0.0
    for one in filters:
        some.append(one)
        seconds += _seconds(one[1], event)
        if seconds > AT_ONCE_SECONDS:
            yield some
            some, seconds = [], 0.0
    yield some


def held_of(filters: Sequence[bytes], head: Mapping[str, Any], data: bytes) -> list[bool]:
    """Whether each of the filters, as JSON, holds for the event with these other members."""
    seen = {**head, "data": orjson.loads(data)}
    return [_compiled(document).holds(seen) for document in filters]


def mismatches_of(filters: Sequence[bytes], head: Mapping[str, Any], data: bytes) -> list[str | None]:
    """Why each of the filters, as JSON, does not hold for the event; None where it does."""
    seen = {**head, "data": orjson.loads(data)}
    return [_compiled(document).check(seen) for document in filters]


@lru_cache(maxsize=_COMPILED)
def _compiled(document: bytes) -> Filter:
    return compile_filter(orjson.loads(document), stored=True)
