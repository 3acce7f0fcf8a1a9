"""One of many leads: it is confirmed while it leads, and when it dies, is frozen or resigns, another goes on."""

from hub.cluster.lease import LEASE_SECONDS
from hub.stores.process import ProcessLeases
from hub.testing.clock import ManualClock
from tests.hub.cluster.candidates import Candidate


async def test_one_leads_and_goes_on_leading(candidates: list[Candidate], clock: ManualClock) -> None:
    await clock.elapse(100)
    assert [candidate.leading for candidate in candidates] == [True, False]
    assert [candidate.terms for candidate in candidates] == [1, 0]


async def test_after_a_death_another_leads_within_fifteen_seconds(
    candidates: list[Candidate], clock: ManualClock
) -> None:
    one, other = candidates
    await one.die()
    await clock.elapse(LEASE_SECONDS + 1)
    assert other.leading


async def test_after_a_resignation_another_leads_with_its_next_try(
    candidates: list[Candidate], clock: ManualClock
) -> None:
    one, other = candidates
    await one.die()
    await one.leadership.resign()
    await clock.elapse(1)
    assert other.leading


async def test_a_leader_that_was_frozen_is_not_confirmed_and_no_longer_leads(
    candidates: list[Candidate], leases: ProcessLeases, clock: ManualClock
) -> None:
    one, _ = candidates
    assert await one.leadership.confirm() == one.leadership.token
    clock.advance(LEASE_SECONDS)
    assert await leases.acquire("scheduler", "other", LEASE_SECONDS) is not None
    assert one.leading
    assert await one.leadership.confirm() is None
    await clock.elapse(0)
    assert not one.leading


async def test_a_leader_whose_lease_ran_out_is_not_confirmed_by_taking_it_again(
    candidates: list[Candidate], clock: ManualClock
) -> None:
    one, other = candidates
    await other.die()
    clock.advance(LEASE_SECONDS)
    assert await one.leadership.confirm() is None
    await clock.elapse(5)
    assert (one.leading, one.terms) == (True, 2)
