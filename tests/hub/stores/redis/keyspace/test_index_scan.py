"""Walks over indexes."""

from collections.abc import AsyncIterator
from datetime import timedelta
from random import Random

import pytest

from hub.errors import BadRequest
from hub.stores.base import Page
from hub.stores.paging import cursor_of
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace import index_scan
from hub.stores.redis.keyspace.index_scan import at_of, from_instant, id_of, newest, until_instant, until_page
from tests.clock import START
from tests.hub.stores.redis.engines import engine_on
from tests.redis_servers import RedisServer


@pytest.fixture
async def engine(valkey: RedisServer) -> AsyncIterator[Engine]:
    async with engine_on(valkey.url()) as engine:
        yield engine


async def filled(engine: Engine, members: list[list[bytes]]) -> list[str]:
    indexes = [f"{engine.prefix}:index:{number}" for number in range(len(members))]
    for index, some in zip(indexes, members, strict=True):
        for member in some:
            await engine.ask("ZADD", index, 0, member)
    return indexes


@pytest.mark.parametrize("step", [1, 2, 7, 1_000])
@pytest.mark.parametrize("wanted", [1, 3, 50])
async def test_a_walk_gives_every_member_of_all_indexes_once_newest_first(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, step: int, wanted: int
) -> None:
    monkeypatch.setattr(index_scan, "STEP", step)
    random = Random(step * wanted)
    members = [
        [b"%013d%d-%d" % (random.randrange(30), number, n) for n in range(random.choice((0, 1, 40)))]
        for number in range(5)
    ]
    indexes = await filled(engine, members)
    found = [member async for part in newest(engine, indexes, "-", "+", wanted) for member in part]
    assert found == sorted((member for some in members for member in some), reverse=True)


async def test_a_walk_stays_between_its_bounds_the_lower_one_included(engine: Engine) -> None:
    instants = [START + timedelta(milliseconds=n) for n in range(5)]
    members = [f"{from_instant(at)[1:]}x".encode() for at in instants]
    (index,) = await filled(engine, [members])
    walked = newest(engine, [index], from_instant(instants[1]), until_instant(instants[4]), 10)
    assert [member async for part in walked for member in part] == members[3:0:-1]


async def test_a_walk_over_no_index_ends_at_once(engine: Engine) -> None:
    assert [part async for part in newest(engine, [], "-", "+", 10)] == []


def test_a_member_tells_its_instant_and_its_id() -> None:
    assert at_of(b"1795348800007dlv_1") == 1_795_348_800_007
    assert id_of(b"1795348800007dlv_1") == "dlv_1"


def test_the_bound_of_a_page_is_the_earlier_of_its_cursor_and_its_end() -> None:
    cursor = cursor_of(5_000, "dlv_1")
    assert until_page(Page(10, cursor)) == "(0000000005000dlv_1"
    assert until_page(Page(10, cursor), START) == "(0000000005000dlv_1"
    assert until_page(Page(10, cursor_of(10**13 - 1, "dlv_1")), START) == until_instant(START)


@pytest.mark.parametrize("at", [-1, 10**13])
def test_a_cursor_outside_of_all_time_is_a_bad_request(at: int) -> None:
    with pytest.raises(BadRequest):
        until_page(Page(10, cursor_of(at, "dlv_1")))


def test_instants_beyond_what_members_can_say_are_bounds_all_the_same() -> None:
    assert until_instant(START.replace(year=9999)) == "(9999999999999"
    assert from_instant(START.replace(year=1900)) == "[0000000000000"
