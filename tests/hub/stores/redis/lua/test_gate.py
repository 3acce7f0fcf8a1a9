"""Lanes in Redis go by the same rules as those in a process's memory, whatever is asked of them."""

import asyncio
import dataclasses
from datetime import timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.models import Outcome, Status
from hub.stores import open_store
from hub.stores.base import Claim, ClaimRequest, HealthMark, LaneClass, LanePolicy, Result, Store
from hub.testing.clock import ManualClock
from hub.testing.stores.samples import batch, entry, event, result
from tests.redis_servers import RedisServer

LANES = ("sub_1", "sub_2")
ADDRESSES = ("a", "a", "a", "b")
Act = tuple[Any, ...]
"""The name of one of the methods of `Both`, and its arguments."""


class Fixed(Random):
    """Gives both stores the same spreads."""

    def uniform(self, a: float, b: float) -> float:
        return 0.37


class Both:
    """The same calls made to two stores, and what both have under way."""

    def __init__(self, one: Store, other: Store, clock: ManualClock) -> None:
        self.stores = (one, other)
        self.clock = clock
        self.under_way: list[tuple[Claim, ...]] = []
        for store in self.stores:
            store.queue._random = Fixed()  # type: ignore[attr-defined] # internals

    async def publish(self, lane: str, number: int, delay: float) -> None:
        now = self.clock.now()
        at = now + timedelta(seconds=delay) if delay else None
        for _ in range(number):
            new = batch(entry(event(accepted_at=now, deliver_at=at), [lane]))
            for store in self.stores:
                await store.intake.accept(new)

    async def claim(self, wants: list[ClaimRequest]) -> None:
        claimed = [await store.queue.claim(wants, dict.fromkeys(LANES, 1e6)) for store in self.stores]
        ids = [sorted(claim.delivery.id for claim in one.claims) for one in claimed]
        assert ids[0] == ids[1]
        assert _told(claimed[0]) == _told(claimed[1])
        by_id = [{claim.delivery.id: claim for claim in one.claims} for one in claimed]
        self.under_way += [(by_id[0][id_], by_id[1][id_]) for id_ in ids[0]]

    async def finish(
        self, number: int, mark: HealthMark, wait: float | None, pause: float, address: str | None
    ) -> None:
        ending, self.under_way = self.under_way[:number], self.under_way[number:]
        written = [
            await store.queue.finish([self._result(pair[which], mark, wait, pause, address) for pair in ending])
            for which, store in enumerate(self.stores)
        ]
        assert written[0] == written[1]

    async def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def compare(self) -> None:
        due = [await store.queue.due() for store in self.stores]
        assert due[0] == due[1]
        health = [await store.queue.health(LANES) for store in self.stores]
        assert health[0] == health[1]

    def _result(self, claim: Claim, mark: HealthMark, wait: float | None, pause: float, address: str | None) -> Result:
        now = self.clock.now()
        if wait is None:
            done = result(claim, Status.DELIVERED, updated_at=now)
        else:
            at = now + timedelta(seconds=wait)
            done = result(claim, Status.PENDING, Outcome.FAILED, updated_at=now, next_attempt_at=at)
        return dataclasses.replace(done, health_mark=mark, pause_seconds=pause or None, address=address)


def _told(claimed: Any) -> tuple[Any, ...]:
    return dict(claimed.next_due), set(claimed.full), set(claimed.breaker_open), set(claimed.barred)


lanes = st.sampled_from(LANES)
policies = st.builds(
    LanePolicy,
    max_in_flight=st.sampled_from([1, 2, 3, 7, 2**31]),
    per_second=st.sampled_from([None, 0.5, 1.0, 3.0, 10.0]),
    revision=st.sampled_from([1, 1, 1, 2]),
    address=st.sampled_from(ADDRESSES),
)
wants = st.builds(ClaimRequest, lane=lanes, limit=st.integers(1, 6), first=st.sampled_from(LaneClass), policy=policies)
acts = st.one_of(
    st.tuples(st.just("publish"), lanes, st.integers(1, 6), st.sampled_from([0.0, 0.0, 0.5, 30.0])),
    st.tuples(st.just("claim"), st.lists(wants, min_size=1, max_size=2, unique_by=lambda want: want.lane)),
    st.tuples(
        st.just("finish"),
        st.integers(1, 12),
        st.sampled_from(HealthMark),
        st.sampled_from([None, None, 0.0, 1.5]),
        st.sampled_from([0.0, 0.0, 0.0, 4.2]),
        st.sampled_from([None, *ADDRESSES]),
    ),
    st.tuples(st.just("wait"), st.sampled_from([0.001, 0.05, 0.1, 0.333, 1.0, 2.274, 5.0, 60.0])),
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(todo=st.lists(acts, min_size=5, max_size=30))
def test_both_let_the_same_through_and_say_the_same(valkey: RedisServer, todo: list[Act]) -> None:
    asyncio.run(_both_do(valkey.url(), todo))


async def _both_do(url: str, todo: list[Act]) -> None:
    clock = ManualClock()
    with TemporaryDirectory() as folder:
        async with (
            open_store(f"sqlite:///{Path(folder) / 'hub.db'}", clock) as one,
            open_store(url, clock) as other,
        ):
            both = Both(one, other, clock)
            for name, *arguments in todo:
                await getattr(both, name)(*arguments)
                await both.compare()
