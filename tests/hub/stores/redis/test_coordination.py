"""Hints between processes over Redis."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.errors import Unavailable
from hub.models import Record
from hub.stores.base import Signal
from hub.stores.milliseconds import milliseconds
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.scripts import Script
from hub.stores.redis.coordination import RedisTickets, open_signals
from hub.stores.redis.keyspace.codec import pack
from hub.stores.redis.keyspace.scripts import SCRIPTS
from hub.stores.redis.records import RedisRecords
from hub.stores.redis.safety.loss_detection import LossDetection
from hub.testing.clock import START
from hub.testing.patience import soon
from tests.hub.stores.redis.engines import engine_on
from tests.redis_servers import VALKEY, RedisServer, new_prefix

START_MS = int(START.timestamp() * 1000)


def telling(lines: str) -> Script:
    return SCRIPTS.build("telling", f"-- needs: signals\n{lines}\nsignals.send()")


async def tell(engine: Engine, lines: str) -> None:
    await engine.run(telling(lines))


async def change_catalogue(engine: Engine) -> None:
    await RedisRecords(engine, LossDetection(engine)).write([Record("key", "ten_a", "one", b"{}")])


async def test_a_ticket_is_kept_as_release_0_2_0_kept_it(valkey: RedisServer) -> None:
    """During an upgrade, processes of both releases find each other's tickets."""
    async with engine_on(valkey.url()) as engine:
        tickets, key = RedisTickets(engine), f"{engine.prefix}:ticket:digest"
        ends = engine.clock.now() + timedelta(seconds=60)
        await tickets.put("digest", b'{"tenant":"a"}', 60.0)
        kept = await engine.ask("GET", key)
        assert kept == b"%d" % milliseconds(ends) + b'{"tenant":"a"}'
        assert await tickets.replace("digest", b'{"tenant":"a"}', b'{"tenant":"b"}', 60.0)
        assert await engine.ask("GET", key) == kept.replace(b'"a"', b'"b"')
        assert 0 < await engine.ask("PTTL", key) <= 60_000 + 3_600_000


async def test_what_was_told_before_the_opening_is_not_heard(valkey: RedisServer) -> None:
    async with engine_on(valkey.url()) as engine:
        await change_catalogue(engine)
        async with open_signals(engine) as signals:
            heard = asyncio.create_task(signals.next())
            await tell(engine, "signals.lane('sub_1', nil)")
            assert await soon(heard) == Signal({"sub_1": None})


async def test_all_that_is_there_is_heard_as_one_the_earliest_for_each_lane(valkey: RedisServer) -> None:
    async with engine_on(valkey.url()) as engine, open_signals(engine) as signals:
        await tell(engine, f"signals.lane('sub_1', {START_MS + 5}) signals.lane('sub_2', {START_MS + 2})")
        await tell(engine, f"signals.lane('sub_1', {START_MS + 2}) signals.lane('sub_1', {START_MS + 3})")
        await tell(engine, "signals.lane('sub_3', nil) signals.lane('sub_3', 5) signals.fans_out()")
        await change_catalogue(engine)
        soon_after = START + timedelta(milliseconds=2)
        due = {"sub_1": soon_after, "sub_2": soon_after, "sub_3": None}
        assert await signals.next() == Signal(due, fans_out=True, catalogue=True)


async def test_every_process_hears_everything(valkey: RedisServer) -> None:
    url = valkey.url()
    async with (
        engine_on(url) as one,
        engine_on(url) as other,
        open_signals(one) as here,
        open_signals(other) as there,
    ):
        heard = asyncio.gather(here.next(), there.next())
        await change_catalogue(one)
        assert tuple(await soon(heard)) == (Signal(catalogue=True),) * 2


async def test_who_falls_behind_what_is_kept_is_told_to_look_at_everything(valkey: RedisServer) -> None:
    async with engine_on(valkey.url()) as engine, open_signals(engine) as signals:
        for number in range(5):
            await tell(engine, f"signals.lane('sub_{number}', nil)")
        await engine.ask("XTRIM", f"{engine.prefix}:signals", "MAXLEN", 2)
        assert await signals.next() == Signal({"sub_3": None, "sub_4": None}, fans_out=True, catalogue=True)
        await tell(engine, "signals.lane('sub_5', nil)")
        assert await signals.next() == Signal({"sub_5": None})


async def test_only_the_newest_are_kept(valkey: RedisServer) -> None:
    async with engine_on(valkey.url()) as engine:
        await tell(engine, "for n = 1, 12000 do signals.lane('sub_' .. n, nil) signals.send() end")
        assert 10_000 <= await engine.ask("XLEN", f"{engine.prefix}:signals") <= 10_200


async def test_after_a_lost_connection_the_catalogue_is_looked_at_and_hearing_goes_on(tmp_path: Path) -> None:
    with RedisServer(VALKEY, tmp_path, appendfsync="always") as server:
        async with engine_on(server.url()) as engine, open_signals(engine) as signals:
            hearing = asyncio.create_task(signals.next())
            await asyncio.sleep(0.05)
            server.kill()
            with pytest.raises(Unavailable):
                await hearing
            server.start()
            await change_catalogue(engine)
            assert (await signals.next()).catalogue
            assert (await signals.next()).catalogue, "what was told meanwhile is not lost"
            await tell(engine, "signals.lane('sub_1', nil)")
            assert await signals.next() == Signal({"sub_1": None})


async def test_hearing_goes_on_when_the_server_comes_back_with_less_than_it_had(tmp_path: Path) -> None:
    with RedisServer(VALKEY, tmp_path, appendonly="no") as server:
        async with engine_on(server.url()) as engine, open_signals(engine) as signals:
            for _ in range(5):
                await change_catalogue(engine)
            await signals.next()
            server.kill()
            with pytest.raises(Unavailable):
                await signals.next()
            server.start()
            assert (await signals.next()).catalogue
            await tell(engine, "signals.lane('sub_1', nil)")
            assert await soon(signals.next()) == Signal({"sub_1": None})


async def test_a_signal_of_another_clock_is_taken_for_as_long_as_it_waits(valkey: RedisServer) -> None:
    prefix = new_prefix()
    async with (
        engine_on(valkey.url(prefix)) as engine,
        engine_on(valkey.url(prefix), SystemClock()) as other,
        open_signals(other) as signals,
    ):
        await tell(engine, f"signals.lane('sub_1', {START_MS + 60_000})")
        before = other.clock.now()
        due_at = (await signals.next()).due["sub_1"]
        assert due_at is not None
        assert before <= due_at - timedelta(minutes=1) <= other.clock.now()


async def test_the_lanes_that_release_0_2_0_tells_of_are_looked_at(valkey: RedisServer) -> None:
    async with engine_on(valkey.url()) as engine, open_signals(engine) as signals:
        due = pack({"sub_1": START_MS + 60_000})
        valkey.ask("XADD", f"{engine.prefix}:signals", "1-0", "due", due)
        assert (await signals.next()).due == {"sub_1": None}
