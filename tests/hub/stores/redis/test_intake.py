"""Accepting over a network: answers that are lost, replicas that lag, crashes around the commit."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.errors import Unavailable
from hub.ids import new_id
from hub.models import Status
from hub.stores import StoreOptions, open_store
from hub.stores.base import AcceptResult, DeliveryQuery, NewDelivery, Store
from hub.stores.redis import intake
from hub.testing.clock import START, ManualClock
from hub.testing.patience import patience
from hub.testing.stores.samples import TENANT, batch, claim, entry, event, idempotency, ids, match, publish
from tests.faults.toxic_proxy import ToxicProxy
from tests.redis_servers import VALKEY, RedisServer, new_prefix

ACCEPT = intake._ACCEPT.digest.encode()


async def numbers(store: Store) -> tuple[int, int]:
    """How many deliveries there are, and how many feed entries."""
    counts = await store.archive.counts(TENANT, DeliveryQuery())
    return sum(sum(states.values()) for states in counts.values()), (await store.feed.bounds())[1]


async def test_an_event_whose_answer_was_lost_is_accepted_once_and_answered(
    behind: Store, other: Store, proxy: ToxicProxy
) -> None:
    await publish(behind)
    proxy.lose_answer(ACCEPT)
    new = event(source_id="a-1")
    answer = await behind.intake.accept(batch(entry(new, ["sub_1"]), idempotency=idempotency()))
    assert proxy.lost.is_set()
    assert (ids(answer), answer.replayed) == ([new.id], False)
    assert await numbers(other) == (1, 2)
    assert len(await claim(other)) == 1


async def test_each_request_of_a_call_whose_answer_was_lost_gets_its_own(
    behind: Store, other: Store, proxy: ToxicProxy
) -> None:
    first = await publish(behind, source_id="a-1")
    proxy.lose_answer(ACCEPT)
    posts = [
        batch(entry(event(), ["sub_1"])),
        batch(entry(event(source_id="a-1"))),
        batch(entry(event()), idempotency=idempotency()),
        batch(entry(event()), idempotency=idempotency()),
        batch(entry(event()), catalogue_version=7),
    ]
    answers = await asyncio.gather(*map(behind.intake.accept, posts), return_exceptions=True)
    assert proxy.lost.is_set()
    told = [
        answer.verdicts[0].status if isinstance(answer, AcceptResult) else type(answer).__name__ for answer in answers
    ]
    assert told == ["accepted", "duplicate", "accepted", "accepted", "StaleCatalogue"]
    assert ids(answers[1]) == [first.id]  # type: ignore[arg-type] # no error here
    assert answers[3].replayed  # type: ignore[union-attr] # no error here
    assert await numbers(other) == (1, 3)


async def test_an_event_that_another_call_brought_is_still_a_defect_of_the_caller(behind: Store) -> None:
    taken = await publish(behind)
    with pytest.raises(Exception, match="id exists"):
        await behind.intake.accept(batch(entry(taken)))


async def test_after_an_outage_the_same_key_gives_the_answer_that_was_lost(
    behind: Store, other: Store, proxy: ToxicProxy
) -> None:
    await publish(behind)
    proxy.stall()
    post = asyncio.create_task(behind.intake.accept(batch(entry(event(), ["sub_1"]), idempotency=idempotency())))
    await asyncio.sleep(0.05)
    proxy.cut()
    with pytest.raises(Unavailable):
        await post
    proxy.heal()
    await behind.intake.accept(batch(entry(event(), ["sub_1"]), idempotency=idempotency()))
    assert await numbers(other) == (1, 2)


async def test_an_expansion_whose_answer_was_lost_counts_once(behind: Store, other: Store, proxy: ToxicProxy) -> None:
    await behind.intake.accept(batch(entry(event(), fan_out=match())))
    (fan_out,) = await behind.intake.fan_outs(10)
    first = [NewDelivery(new_id("dlv"), "sub_1", "webhook")]
    assert await behind.intake.expand(fan_out, first, "sub_1")
    (moved,) = await behind.intake.fan_outs(10)
    proxy.lose_answer(intake._EXPAND.digest.encode())
    assert await behind.intake.expand(moved, [NewDelivery(new_id("dlv"), "sub_2", "webhook")], None)
    assert proxy.lost.is_set()
    assert await other.archive.counts(TENANT, DeliveryQuery()) == {
        "sub_1": {Status.PENDING: 1},
        "sub_2": {Status.PENDING: 1},
    }


async def test_a_cancellation_whose_answer_was_lost_is_answered_as_the_first(behind: Store, proxy: ToxicProxy) -> None:
    one, two = await publish(behind), await publish(behind)
    assert await behind.intake.cancel(TENANT, one.id, START)
    proxy.lose_answer(intake._CANCEL.digest.encode())
    assert await behind.intake.cancel(TENANT, two.id, START)
    assert proxy.lost.is_set()
    assert not await behind.intake.cancel(TENANT, two.id, START)


async def test_requests_that_come_together_go_together(behind: Store) -> None:
    await publish(behind)
    engine = behind.intake._engine  # type: ignore[attr-defined] # internals
    before = engine.round_trips
    await asyncio.gather(*(publish(behind, "sub_1") for _ in range(400)))
    assert engine.round_trips - before <= 3


async def test_a_call_is_bounded_so_that_none_holds_the_server_for_long(behind: Store) -> None:
    await publish(behind)
    engine = behind.intake._engine  # type: ignore[attr-defined] # internals
    before = engine.round_trips
    await asyncio.gather(*(publish(behind, "sub_1", "sub_2", "sub_3") for _ in range(500)))
    assert engine.round_trips - before >= 4


async def test_one_who_gives_up_while_waiting_has_nothing_written(behind: Store, other: Store) -> None:
    posts = [asyncio.create_task(publish(behind)) for _ in range(3)]
    await asyncio.sleep(0)
    posts[2].cancel()
    await asyncio.gather(*posts, return_exceptions=True)
    assert await numbers(other) == (0, 2)


async def test_failpoints_stand_around_each_commit(url: str, clock: ManualClock) -> None:
    reached: list[str] = []
    async with open_store(url, clock, StoreOptions(failpoint=reached.append)) as store:
        await publish(store)
    assert reached == ["before_accept", "after_accept"]


# -- replicas ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(VALKEY, tmp_path / "primary") as server:
        yield server


@pytest.fixture
def replica(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(VALKEY, tmp_path / "replica") as server:
        yield server


async def test_an_event_is_accepted_once_a_replica_has_it(
    primary: RedisServer, replica: RedisServer, clock: ManualClock
) -> None:
    replica.replicate(primary)
    prefix = new_prefix()
    async with open_store(primary.url(prefix), clock, StoreOptions(wait_replicas=1, wait_seconds=2)) as store:
        for _ in range(20):
            new = await publish(store)
            assert replica.ask("EXISTS", f"{{{prefix}}}:e:{new.id}") == 1


async def test_without_its_replicas_an_event_is_not_accepted_and_its_key_waits_again(
    primary: RedisServer, replica: RedisServer, clock: ManualClock
) -> None:
    async with ToxicProxy(primary.port) as between:
        await asyncio.to_thread(replica.replicate, primary, port=between.port)
        async with open_store(primary.url(), clock, StoreOptions(wait_replicas=1, wait_seconds=0.2)) as store:
            await publish(store)
            between.stall()
            post = batch(entry(event(), ["sub_1"]), idempotency=idempotency())
            for _ in range(2):
                with pytest.raises(Unavailable, match="replicas") as refused:
                    await store.intake.accept(post)
                assert refused.value.retry_after
            between.heal()
            async with patience():
                while True:
                    try:
                        answer = await store.intake.accept(post)
                        break
                    except Unavailable:
                        continue
            assert answer.replayed
            assert await numbers(store) == (1, 2)
