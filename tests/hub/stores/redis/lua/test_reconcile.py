"""What fell out of its place on the server is put back."""

from datetime import timedelta

import pytest

from hub.models import Outcome, Status
from hub.stores.base import Store, WriteOutcome
from hub.stores.redis.queue import RedisQueue
from tests.clock import START, ManualClock
from tests.hub.stores.samples import OTHER, SUBSCRIPTION, claim, publish, result
from tests.redis_servers import RedisServer


@pytest.fixture
def queue(store: Store) -> RedisQueue:
    assert isinstance(store.queue, RedisQueue)
    return store.queue


class Server:
    """The keys of one hub on the shared server."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self._server = server
        self._prefix = prefix

    def ask(self, command: str, key: str, *rest: object) -> object:
        return self._server.ask(command, f"{{{self._prefix}}}:{key}", *rest)


@pytest.fixture
def server(valkey: RedisServer, prefix: str) -> Server:
    return Server(valkey, prefix)


async def test_where_all_is_in_its_place_nothing_is_put_back(store: Store, queue: RedisQueue) -> None:
    for _ in range(3):
        await publish(store, "sub_1", "sub_2")
    await publish(store, "sub_1", deliver_at=START + timedelta(hours=1))
    await publish(store, "sub_1", tenant=OTHER)
    await claim(store, "sub_2", limit=2)
    assert await queue.reconcile(100) == (0, True)


async def test_ready_deliveries_whose_stream_was_trimmed_are_put_back_and_told_of(
    store: Store, queue: RedisQueue, server: Server
) -> None:
    published = [await publish(store, SUBSCRIPTION) for _ in range(5)]
    server.ask("XTRIM", f"ready:{SUBSCRIPTION}:first", "MAXLEN", 1)
    assert len(await claim(store)) == 1
    assert await store.queue.due() == {}
    await store.signals.next()
    assert await queue.reconcile(100) == (4, True)
    assert (await store.signals.next()).due == {SUBSCRIPTION: None}
    assert await store.queue.due() == {SUBSCRIPTION: START}
    assert {one.event.id for one in await claim(store)} == {new.id for new in published[:4]}


async def test_a_lane_whose_stream_is_gone_is_put_back_in_order(
    store: Store, queue: RedisQueue, server: Server
) -> None:
    published = [(await publish(store, SUBSCRIPTION)).id for _ in range(5)]
    server.ask("DEL", f"ready:{SUBSCRIPTION}:first")
    assert await queue.reconcile(100) == (5, True)
    assert [one.event.id for one in await claim(store)] == published


async def test_a_lane_whose_group_is_gone_gives_what_it_has(store: Store, server: Server) -> None:
    published = [(await publish(store, SUBSCRIPTION)).id for _ in range(4)]
    first = await claim(store, limit=2)
    server.ask("XGROUP DESTROY", f"ready:{SUBSCRIPTION}:first", "workers")
    assert [one.event.id for one in await claim(store)] == published[2:]
    assert await store.queue.finish([result(one, Status.DELIVERED) for one in first]) == [WriteOutcome.RECORDED] * 2
    assert await claim(store) == ()
    assert server.ask("EXISTS", f"ready:{SUBSCRIPTION}:first") == 1


async def test_an_entry_that_was_read_while_its_delivery_waits_is_put_back(
    store: Store, queue: RedisQueue, server: Server, valkey: RedisServer, prefix: str
) -> None:
    await publish(store, SUBSCRIPTION)
    stream = f"{{{prefix}}}:ready:{SUBSCRIPTION}:first"
    valkey.ask("XGROUP CREATE", stream, "workers", "0")
    valkey.ask("XREADGROUP", "GROUP", "workers", "nobody", "STREAMS", stream, ">")
    assert await claim(store) == ()
    assert await queue.reconcile(100) == (1, True)
    assert len(await claim(store)) == 1


async def test_what_waits_for_later_is_put_back_where_it_waited(
    store: Store, queue: RedisQueue, server: Server, clock: ManualClock
) -> None:
    await publish(store, SUBSCRIPTION)
    (one,) = await claim(store)
    later = START + timedelta(seconds=60)
    await store.queue.finish([result(one, Status.PENDING, Outcome.FAILED, next_attempt_at=later)])
    server.ask("DEL", f"delayed:{SUBSCRIPTION}")
    server.ask("DEL", "due")
    assert await queue.reconcile(100) == (1, True)
    assert await store.queue.due() == {SUBSCRIPTION: later}
    assert await claim(store) == ()
    clock.advance(60)
    assert len(await claim(store)) == 1


async def test_what_is_under_way_with_nobodys_lease_is_taken_over(
    store: Store, queue: RedisQueue, server: Server
) -> None:
    await publish(store, SUBSCRIPTION)
    (one,) = await claim(store, lease=600)
    server.ask("DEL", f"leases:{SUBSCRIPTION}")
    server.ask("DEL", "leases")
    assert await store.queue.reclaim(10) == []
    (taken,) = await store.queue.reclaim(10)
    assert taken.delivery.id == one.delivery.id
    assert taken.delivery.token > one.delivery.token


async def test_a_lease_of_what_is_not_under_way_takes_no_room_for_long(
    store: Store, server: Server, clock: ManualClock
) -> None:
    at = round(clock.now().timestamp() * 1000)
    server.ask("ZADD", f"leases:{SUBSCRIPTION}", at, "dlv_unknown")
    server.ask("ZADD", "leases", at, SUBSCRIPTION)
    assert await store.queue.reclaim(10) == []
    assert server.ask("EXISTS", f"leases:{SUBSCRIPTION}") == 0
    assert server.ask("EXISTS", "leases") == 0


async def test_what_is_due_is_said_again_of_a_lane_that_says_nothing(
    store: Store, queue: RedisQueue, server: Server
) -> None:
    await publish(store, "sub_1", "sub_2")
    server.ask("DEL", "due")
    await queue.reconcile(100)
    assert await store.queue.due() == {"sub_1": START, "sub_2": START}


async def test_a_walk_goes_on_where_it_ended_and_comes_round(store: Store, queue: RedisQueue, server: Server) -> None:
    for _ in range(4):
        await publish(store, "sub_1", "sub_2", "sub_3")
    await claim(store, "sub_2", limit=3)
    for lane in ("sub_1", "sub_2", "sub_3"):
        server.ask("DEL", f"ready:{lane}:first")
    parts = [await queue.reconcile(2) for _ in range(7)]
    assert [over for _, over in parts] == [False] * 6 + [True]
    assert sum(mended for mended, _ in parts) == 9
    assert await queue.reconcile(100) == (0, True)


async def test_lanes_that_are_empty_are_walked_no_more(store: Store, queue: RedisQueue, server: Server) -> None:
    for number in range(5):
        await publish(store, f"sub_{number}")
    claims = await claim(store, *(f"sub_{number}" for number in range(5)))
    await store.queue.finish([result(one, Status.DELIVERED) for one in claims])
    await queue.reconcile(100)
    assert server.ask("EXISTS", "lanes") == 0
    assert server.ask("EXISTS", "reconciler") == 0
    await publish(store, "sub_1")
    assert server.ask("ZCARD", "lanes") == 1
