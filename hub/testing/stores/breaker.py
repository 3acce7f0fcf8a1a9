"""The breaker of a lane, and which state of a lane survives a change of its subscription."""

import dataclasses
from datetime import timedelta

import pytest

from hub.stores.base import (
    BreakerState,
    HealthMark,
    LaneHealth,
    LanePolicy,
    Result,
    Store,
    WriteOutcome,
)
from hub.stores.gate import FIRST_OPEN_SECONDS, OPEN_SPREAD, THRESHOLD
from hub.testing.clock import START, ManualClock
from hub.testing.stores.lanes import HERE, LANE, NONE, ask, backlog, end, ended
from hub.testing.stores.samples import claim, publish
from hub.testing.stores.suite import StoreSuite


async def break_down(store: Store) -> None:
    """Open the breaker, with the rest of a backlog waiting."""
    await backlog(store, THRESHOLD * 3)
    await end(store, (await ask(store, limit=THRESHOLD)).claims, HealthMark.BAD)


class BreakerConformance(StoreSuite):
    """The port `Queue`: breakers and revisions of lanes."""

    async def test_many_failures_in_a_row_open_the_breaker_and_then_one_delivery_is_tried(
        self, store: Store, clock: ManualClock
    ) -> None:
        await break_down(store)
        opened = await ask(store)
        assert (opened.claims, opened.breaker_open, opened.barred) == ((), HERE, HERE)
        rest = (opened.next_due[LANE] - START).total_seconds()
        assert FIRST_OPEN_SECONDS * (1 - OPEN_SPREAD) <= rest <= FIRST_OPEN_SECONDS * (1 + OPEN_SPREAD) + 0.001
        health = (await store.queue.health([LANE]))[LANE]
        assert health == LaneHealth(THRESHOLD, BreakerState.OPEN, opened.next_due[LANE])
        clock.advance(rest)
        tried = await ask(store)
        assert (len(tried.claims), tried.full, tried.breaker_open) == (1, HERE, NONE)
        assert (await ask(store)).claims == ()
        assert (await store.queue.health([LANE]))[LANE].breaker is BreakerState.HALF_OPEN

    async def test_after_a_success_twice_as_many_may_be_under_way_with_each(
        self, store: Store, clock: ManualClock
    ) -> None:
        await break_down(store)
        clock.advance(10)
        given = []
        for _ in range(3):
            claimed = (await ask(store, LanePolicy(8))).claims
            given.append(len(claimed))
            await end(store, claimed[:1], HealthMark.GOOD)
            await end(store, claimed[1:])
        assert given == [1, 2, 4]
        assert await store.queue.health([LANE]) == {}
        assert len((await ask(store, LanePolicy(8))).claims) == 8

    async def test_a_failed_try_opens_the_breaker_for_longer(self, store: Store, clock: ManualClock) -> None:
        await break_down(store)
        clock.advance(10)
        await end(store, (await ask(store)).claims, HealthMark.BAD)
        rest = ((await ask(store)).next_due[LANE] - clock.now()).total_seconds()
        assert FIRST_OPEN_SECONDS * 2 * (1 - OPEN_SPREAD) <= rest <= FIRST_OPEN_SECONDS * 2 * (1 + OPEN_SPREAD) + 0.001

    async def test_a_try_that_says_nothing_is_made_again(self, store: Store, clock: ManualClock) -> None:
        await break_down(store)
        clock.advance(10)
        await end(store, (await ask(store)).claims, HealthMark.NONE)
        again = await ask(store)
        assert (len(again.claims), again.full) == (1, HERE)

    async def test_one_success_among_failures_keeps_the_lane_going(self, store: Store) -> None:
        await backlog(store, THRESHOLD * 2)
        claims = (await ask(store)).claims
        await end(store, claims[: THRESHOLD - 1], HealthMark.BAD)
        assert (await store.queue.health([LANE]))[LANE] == LaneHealth(THRESHOLD - 1)
        await end(store, claims[THRESHOLD - 1 : THRESHOLD], HealthMark.GOOD)
        assert await store.queue.health([LANE]) == {}
        await end(store, claims[THRESHOLD : THRESHOLD * 2 - 1], HealthMark.BAD)
        assert (await store.queue.health([LANE]))[LANE] == LaneHealth(THRESHOLD - 1)

    async def test_failures_that_are_reported_together_count_in_their_order(self, store: Store) -> None:
        await backlog(store, THRESHOLD + 1)
        claims = (await ask(store)).claims
        marks = [HealthMark.GOOD, *[HealthMark.BAD] * THRESHOLD]
        await store.queue.finish([ended(one, mark) for one, mark in zip(claims, marks, strict=True)])
        assert (await store.queue.health([LANE]))[LANE].breaker is BreakerState.OPEN

    @pytest.mark.parametrize("mark", [HealthMark.BAD, HealthMark.GOOD])
    async def test_what_is_not_written_says_nothing_of_the_target(
        self, store: Store, clock: ManualClock, mark: HealthMark
    ) -> None:
        await backlog(store, 3)
        lost, failing = (await ask(store, limit=2)).claims
        await end(store, [failing], HealthMark.BAD)
        clock.advance(31)
        await store.queue.reclaim(10)
        assert await store.queue.finish([ended(lost, mark, 600.0)]) == [WriteOutcome.FENCED]
        assert (await store.queue.health([LANE]))[LANE] == LaneHealth(1)
        assert len((await ask(store)).claims) == 1

    async def test_health_is_told_of_the_lanes_that_are_asked_about(self, store: Store) -> None:
        await publish(store, "sub_1", "sub_2")
        await end(store, await claim(store, "sub_1", "sub_2"), HealthMark.BAD)
        assert await store.queue.health([]) == {}
        assert await store.queue.health(["sub_2", "sub_9"]) == {"sub_2": LaneHealth(1)}

    async def test_another_address_forgets_breaker_pause_and_rate_and_keeps_what_is_under_way(
        self, store: Store
    ) -> None:
        await backlog(store, THRESHOLD * 3)
        policy = LanePolicy(THRESHOLD + 2, 1_000.0, revision=4, address="old")
        claims = (await ask(store, policy, limit=THRESHOLD + 1)).claims
        await store.queue.finish([ended(one, HealthMark.BAD, 600.0) for one in claims[:THRESHOLD]])
        assert (await ask(store, policy)).claims == ()
        fresh = await ask(store, dataclasses.replace(policy, revision=5, address="new"))
        assert (len(fresh.claims), fresh.full) == (THRESHOLD + 1, HERE)
        assert await store.queue.health([LANE]) == {}

    async def test_a_newer_revision_at_the_same_address_keeps_breaker_and_pause(
        self, store: Store, clock: ManualClock
    ) -> None:
        await backlog(store, THRESHOLD * 3)
        policy = LanePolicy(THRESHOLD, revision=4, address="here")
        claims = (await ask(store, policy)).claims
        await store.queue.finish([ended(one, HealthMark.BAD, 600.0) for one in claims])
        changed = await ask(store, dataclasses.replace(policy, max_in_flight=THRESHOLD * 2, revision=5))
        assert (changed.claims, changed.next_due) == ((), {LANE: clock.now() + timedelta(seconds=600)})
        assert (await store.queue.health([LANE]))[LANE].failures == THRESHOLD

    @pytest.mark.parametrize("mark", [HealthMark.BAD, HealthMark.GOOD])
    async def test_late_results_of_another_address_say_nothing_of_this_one(
        self, store: Store, mark: HealthMark
    ) -> None:
        await backlog(store, THRESHOLD + 3)
        old, new = LanePolicy(revision=4, address="old"), LanePolicy(revision=5, address="new")
        late = (await ask(store, old, limit=THRESHOLD)).claims
        (failing,) = (await ask(store, new, limit=1)).claims
        await store.queue.finish([sent_to("new", ended(failing, HealthMark.BAD))])
        written = await store.queue.finish([sent_to("old", ended(one, mark, 600.0)) for one in late])
        assert written == [WriteOutcome.RECORDED] * THRESHOLD
        assert (await store.queue.health([LANE]))[LANE] == LaneHealth(1)
        assert len((await ask(store, new)).claims) == 2, "neither a pause nor an open breaker bars the lane"

    async def test_a_process_that_has_not_heard_of_a_change_does_not_undo_it(self, store: Store) -> None:
        await backlog(store, THRESHOLD * 3)
        claims = (await ask(store, LanePolicy(THRESHOLD, revision=5, address="new"), limit=THRESHOLD)).claims
        await end(store, claims, HealthMark.BAD)
        assert (await ask(store, LanePolicy(1_000, revision=4, address="old"))).breaker_open == HERE
        assert (await store.queue.health([LANE]))[LANE].failures == THRESHOLD


def sent_to(address: str, result: Result) -> Result:
    return dataclasses.replace(result, address=address)
