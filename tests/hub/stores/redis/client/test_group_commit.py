"""Calls for all that waits. The rules that SQLite follows too have their tests in tests/hub/stores."""

import asyncio
from collections.abc import Sequence

import pytest

from hub.errors import Unavailable
from hub.stores.group_commit import GROUP_ROWS
from hub.stores.redis.client.group_commit import GroupCommit
from tests.hub.stores.redis.engines import engine_on
from tests.redis_servers import RedisServer

MANY = range(1, 51)


class Log:
    """Notes the numbers of calls and the failpoints around them. The first call after `failure` was set raises it."""

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.reached: list[str] = []
        self.failure: Exception | None = None

    async def call(self, number: int, items: Sequence[int]) -> list[int]:
        self.numbers.append(number)
        await asyncio.sleep(0)
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        return list(items)

    def commit(self) -> GroupCommit[int, int]:
        return GroupCommit("add", self.call, self.reached.append)


async def test_calls_are_numbered_and_stand_between_their_failpoints() -> None:
    log = Log()
    calls = log.commit()
    assert [await calls.submit(n) for n in MANY] == [*MANY]
    assert log.numbers == [*MANY]
    assert log.reached == ["before_add", "after_add"] * len(MANY)


async def test_when_the_server_is_away_those_who_queued_up_meanwhile_are_refused_with_the_group() -> None:
    log = Log()
    calls = log.commit()
    log.failure = away = Unavailable("away", retry_after=1.0)
    outcomes = await asyncio.gather(*(calls.submit(n, rows=GROUP_ROWS) for n in MANY), return_exceptions=True)
    assert outcomes == [away] * len(MANY)
    assert log.numbers == [1], "each group did not wait for itself"
    assert await calls.submit(1) == 1


async def test_an_error_of_a_call_is_that_of_its_group_alone() -> None:
    log = Log()
    calls = log.commit()
    log.failure = ZeroDivisionError()
    failing = asyncio.create_task(calls.submit(1, rows=GROUP_ROWS))
    waiting = asyncio.create_task(calls.submit(2))
    with pytest.raises(ZeroDivisionError):
        await failing
    assert await waiting == 2


async def test_calls_reach_the_server_in_the_order_of_submission(valkey: RedisServer) -> None:
    async with engine_on(valkey.url()) as engine:
        key = f"{engine.prefix}:list"

        async def push(number: int, items: Sequence[int]) -> list[int]:
            length = int(await engine.ask("RPUSH", key, *items))
            return [length] * len(items)

        calls: GroupCommit[int, int] = GroupCommit("push", push, lambda name: None)
        await asyncio.gather(*map(calls.submit, MANY))
        assert [int(item) for item in await engine.ask("LRANGE", key, 0, -1)] == [*MANY]
        await calls.close()
