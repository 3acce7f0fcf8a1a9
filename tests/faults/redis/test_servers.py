"""Drills F16 to F19, F22 and F24: Redis restarts, dies, comes back empty, short or damaged, and has no room."""

import asyncio
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS, patience
from tests.faults.drill import Drill
from tests.faults.listeners import Follower
from tests.faults.patience import until
from tests.faults.publisher import Acked
from tests.redis_servers import RedisServer

HEAL_SECONDS = PATIENCE_SECONDS
"""How long it may take until the hub works again once its server does."""
SLOW_SYNCS = ("-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:delay_enter=3s")
LOST_SECONDS = 3.0
"""How old a lost event may be: a server waits two seconds for a sync, then it writes; and a client hears late."""


@pytest.fixture
def redis(drill: Drill) -> RedisServer:
    """The drill's own server."""
    assert drill.server is not None
    return drill.server


async def heals(drill: Drill) -> None:
    """Wait until an event is accepted again, and the hub says that it is well."""

    async def is_well() -> bool:
        async with drill.hub.client() as api:
            return (await api.get("/readyz")).status_code == 200

    await asyncio.wait_for(drill.publisher.publish(), HEAL_SECONDS)
    await until(is_well, HEAL_SECONDS)


async def publish_over(drill: Drill, trouble: str) -> None:
    """Publish 50 events a second while the server is stopped or killed, and started again."""
    redis = drill.server
    assert redis is not None
    await drill.hub.start()
    await drill.subscribe("steady")
    await drill.subscribe("slow")
    await drill.receiver.behave("slow", delay=0.05)
    pids = [process.pid for process in drill.hub.processes]
    done = asyncio.Event()
    publishing = asyncio.create_task(drill.publisher.publish_at(50, done))
    for _ in range(2):
        await asyncio.sleep(1.5)
        await asyncio.to_thread(redis.stop if trouble == "stop" else redis.kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(redis.start)
        await heals(drill)
    done.set()
    await publishing
    assert [process.pid for process in drill.hub.processes] == pids
    assert all(process.running for process in drill.hub.processes)


@pytest.mark.parametrize(
    ("trouble", "fsync"), [("stop", "everysec"), ("stop", "always"), ("kill", "no"), ("kill", "always")]
)
async def test_f16_a_restart_of_the_server_loses_nothing_and_heals_without_one_of_the_hub(
    drill: Drill, redis: RedisServer, trouble: str, fsync: str
) -> None:
    """Red without the append-only file; when a connection that was lost is not opened again; when work that was under
    way is lost with its consumer."""
    redis.set(appendfsync=fsync)
    await publish_over(drill, trouble)
    verdict = await drill.verdict(f"F16-{trouble}-{fsync}")
    assert verdict.passed, verdict
    assert verdict.acked > 100


@contextmanager
def slow_disk(redis: RedisServer) -> Iterator[None]:
    """Let a sync of the append-only file take three seconds, as on a busy disk, until the server or the block ends."""
    command = ("strace", "-f", "-qq", "-o", "/dev/null", "-p", str(redis.pid), *SLOW_SYNCS)
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as strace:
        try:
            yield
        finally:
            strace.terminate()


async def missing(drill: Drill) -> list[Acked]:
    """Which accepted events the hub does not know."""
    async with drill.hub.client() as api:
        answers = {acked: await api.get(f"/v1/events/{acked.event_id}") for acked in drill.publisher.acked}
    return [acked for acked, answer in answers.items() if answer.status_code == 404]


@pytest.mark.drill
@pytest.mark.privileged
async def test_f16_a_server_that_is_killed_while_its_disk_is_slow_loses_two_seconds_at_most_and_that_is_reported(
    drill: Drill, redis: RedisServer
) -> None:
    """Red when `everysec` is taken for a promise, so that nobody says that something is gone."""
    redis.set(appendfsync="everysec")
    await drill.hub.start()
    await drill.subscribe("steady")
    done = asyncio.Event()
    publishing = asyncio.create_task(drill.publisher.publish_at(50, done))
    before = await drill.publisher.publish()
    lost: list[Acked] = []
    killed_at = 0.0

    async def keeps_an_answered_event() -> bool:
        kept = int(redis.info("persistence")["aof_buffer_length"])
        await drill.publisher.publish()
        return 0 < kept < int(redis.info("persistence")["aof_buffer_length"])

    # A busy machine may let the server write it after all, between the answer and the end.
    async with patience():
        while not lost:
            with slow_disk(redis):
                await until(keeps_an_answered_event, PATIENCE_SECONDS, every=0.01)
                # Before, because a process ends only when its sync does.
                killed_at = time.monotonic()
                redis.kill()
            await asyncio.to_thread(redis.start)
            await heals(drill)
            lost = await missing(drill)
    done.set()
    await publishing
    verdict = await drill.verdict("F16-kill-everysec-slow", remembered_since=killed_at)
    assert {lost_one.event_id for lost_one in lost} == {re.findall(r"evt_\w+", each)[0] for each in verdict.complaints}
    assert verdict.lost == len(lost)
    assert before not in lost
    assert all(killed_at - LOST_SECONDS < acked.at for acked in lost)
    assert await is_reported(drill)


async def is_reported(drill: Drill) -> bool:
    """Whether the log, and whoever asks how the hub is, say that the store lost something."""
    async with drill.hub.client() as api:
        warnings = (await api.get("/readyz")).json().get("warnings", [])
    told = "".join(process.said() for process in drill.hub.processes)
    is_shown = any("had lost" in warning for warning in warnings)
    assert ("store.data_loss" in told) == is_shown
    return is_shown


async def test_f17_a_server_that_comes_back_empty_is_reported_with_the_loss_and_used(
    drill: Drill, redis: RedisServer
) -> None:
    """Red when the groups of streams are made only once; when cursors begin anew, so that listeners hear nothing; when
    nobody says that something is gone."""
    follower = Follower(drill.hub.having("web"))
    await drill.hub.start()
    await drill.subscribe("lost")
    await drill.receiver.behave("lost", status=503)
    await drill.publisher.publish_many(20)
    await drill.receiver.arrived(1)
    following = asyncio.create_task(follower.follow())

    async def all_are_told() -> bool:
        return {acked.event_id for acked in drill.publisher.acked} <= set(follower.accepted())

    await until(all_are_told, HEAL_SECONDS)
    redis.ask("FLUSHALL")
    drill.forget()
    await heals(drill)
    assert await is_reported(drill)
    await drill.subscribe("new")
    await drill.publisher.publish_many(20)
    await drill.drained(PATIENCE_SECONDS)
    await until(all_are_told, HEAL_SECONDS)
    following.cancel()
    cursors = [cursor for cursor, _ in follower.events]
    assert cursors == sorted(set(cursors))
    assert [name for _, name in follower.events].count("gap") == 1
    verdict = await drill.verdict("F17")
    assert verdict.delivered == 20


def log_file(redis: RedisServer) -> Path:
    """The append-only file that is written to last."""
    (newest,) = (redis.directory / "appendonlydir").glob("*.incr.aof")
    return newest


@pytest.mark.parametrize("cut", ["7 bytes", "the last event"])
async def test_f18_a_log_that_was_cut_short_is_loaded_and_the_loss_is_reported(
    drill: Drill, redis: RedisServer, cut: str
) -> None:
    """Red when nobody notices that the store is older than it was."""
    await drill.hub.start()
    await drill.subscribe("later")
    await drill.hub.worker.kill()
    await drill.publisher.publish_many(20)
    await asyncio.to_thread(redis.kill)
    log = log_file(redis)
    content = log.read_bytes()
    log.write_bytes(content[:-7] if cut == "7 bytes" else content[: content.rindex(b'{"n": 19}') + 4])
    await asyncio.to_thread(redis.start)
    await drill.hub.start()
    await heals(drill)
    verdict = await drill.verdict("F18")
    assert (verdict.delivered, verdict.lost) in ((21, 0), (20, 1))
    assert await is_reported(drill) == (verdict.lost == 1)


async def test_f19_a_flipped_byte_in_an_event_keeps_it_from_being_sent(drill: Drill, redis: RedisServer) -> None:
    """Red without a digest over what is kept of an event."""
    await drill.hub.start()
    await drill.subscribe("whole")
    await drill.hub.worker.kill()
    await drill.publisher.publish_many(20)
    victim = drill.publisher.acked[10]
    await asyncio.to_thread(redis.kill)
    flip(log_file(redis), b'{"n": %d}' % victim.number)
    await asyncio.to_thread(redis.start)
    await drill.hub.start()
    verdict = await drill.verdict("F19")
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dead, verdict.dup) == (19, 1, 0)
    dead = await drill.delivery(victim.event_id, "whole")
    assert dead["status"] == "dead"
    assert victim.event_id not in {arrival.webhook_id for arrival in drill.receiver.arrivals()}


def flip(log: Path, text: bytes) -> None:
    """Change one bit of the digit in this text."""
    content = log.read_bytes()
    assert content.count(text) == 1
    place = content.index(text) + len(text) - 2
    log.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


async def refused(drill: Drill, within: float = PATIENCE_SECONDS) -> httpx.Response:
    """Publish large events until one is refused; gives the answer. What was accepted is in the journal."""
    big = {"type": "drill.big", "data": "x" * 200_000}
    async with drill.hub.client() as api, asyncio.timeout(within):
        while (answer := await api.post("/v1/events", json=big)).status_code == 202:
            pass
    return answer


async def test_f22_without_memory_publishing_is_refused_and_heals_when_there_is_some(
    drill: Drill, redis: RedisServer
) -> None:
    """Red when what the server refuses is an internal error, or an eviction makes room."""
    await drill.hub.start()
    await drill.subscribe("ok", "drill.tick")
    await drill.publisher.publish_many(20)
    redis.set(maxmemory="20mb", maxmemory_policy="noeviction")
    answer = await refused(drill)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    redis.set(maxmemory="0")
    await heals(drill)
    await drill.publisher.publish_many(20)
    assert redis.info("stats")["evicted_keys"] == 0
    verdict = await drill.verdict("F22")
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dup) == (41, 0)


async def test_f24_work_that_is_cut_out_of_the_streams_is_done_all_the_same(drill: Drill, redis: RedisServer) -> None:
    """Red when a delivery that waits is known to its stream alone, or one whose event is gone waits for ever."""
    await drill.hub.start()
    await drill.subscribe("ok")
    await drill.hub.worker.kill()
    await drill.publisher.publish_many(20)
    victim = drill.publisher.acked[10]
    assert trimmed(redis) == 20
    (event,) = [key for key in keys(redis, "string") if key.endswith(victim.event_id)]
    redis.ask("DEL", event)
    await drill.hub.start()
    verdict = await drill.verdict("F24")
    assert verdict.passed, verdict
    assert (verdict.delivered, verdict.dead, verdict.dup) == (19, 1, 0)


def keys(redis: RedisServer, kind: str) -> list[str]:
    with redis.client() as client:
        return [key.decode() for key in client.scan_iter(count=1_000, _type=kind)]


def trimmed(redis: RedisServer) -> int:
    """Empty the streams of work; gives how many entries they held."""
    return sum(redis.ask("XTRIM", key, "MAXLEN", 0) for key in keys(redis, "stream") if "ready" in key)
