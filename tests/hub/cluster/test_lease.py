"""A lease has one holder at a time, is renewed while the holder lives, and is free soon after it died."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress

import pytest

from hub.cluster.lease import LEASE_SECONDS, PROCESSES, RENEW_SECONDS, Lease, heartbeat_lease, live_processes
from hub.errors import Unavailable
from hub.stores.base import Leases
from hub.stores.process import ProcessLeases
from hub.testing.clock import ManualClock


class AwayLeases(Leases):
    """Leases that cannot be asked while they are `away`."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.away = False

    async def acquire(self, name: str, holder: str, seconds: float) -> int | None:
        if self.away:
            raise Unavailable("The server is away.", retry_after=1)
        return await self._leases.acquire(name, holder, seconds)

    async def release(self, name: str, holder: str) -> None:
        if self.away:
            raise Unavailable("The server is away.", retry_after=1)
        await self._leases.release(name, holder)

    async def held(self, names: Collection[str]) -> frozenset[str]:
        return await self._leases.held(names)

    async def held_under(self, prefix: str) -> frozenset[str]:
        return await self._leases.held_under(prefix)


@pytest.fixture
def leases(clock: ManualClock) -> AwayLeases:
    return AwayLeases(ProcessLeases(clock))


def lease_of(leases: Leases, holder: str, clock: ManualClock) -> Lease:
    return Lease(leases, "lead", holder, clock)


@asynccontextmanager
async def running(work: asyncio.Task[object]) -> AsyncIterator[asyncio.Task[object]]:
    try:
        yield work
    finally:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work


async def test_while_it_is_renewed_nobody_else_gets_it(leases: AwayLeases, clock: ManualClock) -> None:
    one, other = lease_of(leases, "one", clock), lease_of(leases, "other", clock)
    token = await one.acquire()
    async with running(asyncio.create_task(one.hold())):
        for _ in range(10):
            await clock.elapse(LEASE_SECONDS)
            assert await other.take() is None
        assert one.token == token


async def test_of_a_dead_holder_it_is_had_within_its_lease_and_one_try(leases: AwayLeases, clock: ManualClock) -> None:
    dead, heir = lease_of(leases, "dead", clock), lease_of(leases, "heir", clock)
    first = await dead.acquire()
    async with running(asyncio.create_task(heir.acquire())) as obtaining:
        await clock.elapse(LEASE_SECONDS - 1)
        assert not obtaining.done()
        await clock.elapse(2)
        second = await obtaining
    assert isinstance(second, int)
    assert second > first


async def test_one_that_is_given_back_is_had_with_the_next_try(leases: AwayLeases, clock: ManualClock) -> None:
    one, other = lease_of(leases, "one", clock), lease_of(leases, "other", clock)
    await one.acquire()
    async with running(asyncio.create_task(other.acquire())) as obtaining:
        await clock.elapse(0.5)
        await one.release()
        await clock.elapse(1)
        assert obtaining.done()


async def test_a_holder_that_was_frozen_notices_that_it_lost_it(leases: AwayLeases, clock: ManualClock) -> None:
    frozen, other = lease_of(leases, "frozen", clock), lease_of(leases, "other", clock)
    await frozen.acquire()
    async with running(asyncio.create_task(frozen.lost())) as losing:
        await asyncio.sleep(0)
        clock.advance(LEASE_SECONDS)
        assert await other.take() is not None
        await clock.elapse(0)
        assert losing.done()
    assert frozen.token is None


async def test_one_that_lapsed_is_lost_although_nobody_else_took_it(leases: AwayLeases, clock: ManualClock) -> None:
    frozen = lease_of(leases, "frozen", clock)
    before = await frozen.acquire()
    async with running(asyncio.create_task(frozen.lost())) as losing:
        await asyncio.sleep(0)
        clock.advance(LEASE_SECONDS + 1)
        await clock.elapse(0)
        assert losing.done()
    assert frozen.token != before


async def test_trouble_with_the_store_is_borne_until_the_lease_must_have_run_out(
    leases: AwayLeases, clock: ManualClock
) -> None:
    one = lease_of(leases, "one", clock)
    token = await one.acquire()
    async with running(asyncio.create_task(one.lost())) as losing:
        leases.away = True
        await clock.elapse(RENEW_SECONDS * 2)
        leases.away = False
        await clock.elapse(RENEW_SECONDS)
        assert (one.token, losing.done()) == (token, False)
        leases.away = True
        await clock.elapse(LEASE_SECONDS - RENEW_SECONDS)
        assert not losing.done()
        await clock.elapse(RENEW_SECONDS)
        assert (one.token, losing.done()) == (None, True)
        await one.release()


async def test_a_process_is_known_as_alive_until_it_has_been_silent_for_a_lease(
    leases: AwayLeases, clock: ManualClock
) -> None:
    sign = heartbeat_lease(leases, PROCESSES, "p1", clock)
    await sign.take()
    assert await live_processes(leases, {"p1", "p2"}) == {"p1"}
    clock.advance(LEASE_SECONDS)
    assert await live_processes(leases, {"p1", "p2"}) == frozenset()
