"""Drill F21: the hub, or one worker of it, is cut off from Redis and comes back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import Drill
from tests.faults.receiver_process import ReceiverProcess
from tests.faults.redis.network import OtherMachine
from tests.faults.toxic_proxy import ToxicProxy

HEAL_SECONDS = PATIENCE_SECONDS
CUT_SECONDS = 30.0


async def publish_through(drill: Drill, cut: Callable[[], None], heal: Callable[[], None], seconds: float) -> list[int]:
    """Publish 20 events a second to a running hub, before, during and after a cut; gives what was refused with."""
    await drill.subscribe("ok")
    pids = [process.pid for process in drill.hub.processes]
    done = asyncio.Event()
    publishing = asyncio.create_task(drill.publisher.publish_at(20, done))
    await asyncio.sleep(1)
    cut()
    await asyncio.sleep(seconds)
    heal()
    await asyncio.sleep(1)
    done.set()
    await asyncio.wait_for(publishing, HEAL_SECONDS)
    assert [process.pid for process in drill.hub.processes if process.running] == pids
    return drill.publisher.refusals


async def test_f21_a_server_that_goes_silent_is_waited_for_only_so_long_and_used_again(
    drill: Drill, proxy: ToxicProxy
) -> None:
    """Red without a limit of time on calls: requests would hang, and connections stay with a peer that is gone."""
    assert drill.server is not None
    drill.hub.settings["store_url"] = drill.server.url(port=proxy.port)
    await drill.hub.start()
    refusals = await publish_through(drill, proxy.stall, proxy.heal, 8)
    assert set(refusals) == {503}
    verdict = await drill.verdict("F21-silent")
    assert verdict.passed, verdict


@pytest.fixture
def machine() -> Iterator[OtherMachine]:
    with OtherMachine() as machine:
        yield machine


@pytest.fixture
async def receiver(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ReceiverProcess]:
    """Where the other machine can reach it too, if there is one."""
    here = request.getfixturevalue("machine").to_rest.here if "machine" in request.fixturenames else "127.0.0.1"
    async with ReceiverProcess(tmp_path / "received.jsonl", here) as receiver:
        yield receiver


def connect(drill: Drill, machine: OtherMachine) -> None:
    """Let the server be reached from both machines, and targets be on the other one."""
    assert drill.server is not None
    here = machine.to_store.here
    drill.server.set(bind=f"127.0.0.1 {here}")
    drill.hub.settings["store_url"] = drill.server.url().replace("127.0.0.1", here)
    drill.hub.settings["allow_private_targets"] = "10.0.0.0/8"


@pytest.mark.drill
@pytest.mark.network
@pytest.mark.timeout(180)
async def test_f21_a_hub_that_is_cut_off_for_half_a_minute_refuses_and_heals_by_itself(
    drill: Drill, machine: OtherMachine
) -> None:
    """Red without a limit of time on calls; when something gives up for good."""
    connect(drill, machine)
    for process in drill.hub.processes:
        process.host = machine.to_rest.there
    await drill.hub.start(wrapper=machine.wrapper)
    refusals = await publish_through(drill, machine.to_store.cut, machine.to_store.mend, CUT_SECONDS)
    assert set(refusals) == {503}
    verdict = await drill.verdict("F21")
    assert verdict.passed, verdict


@pytest.mark.drill
@pytest.mark.network
@pytest.mark.timeout(180)
async def test_f21_a_worker_that_is_cut_off_for_half_a_minute_loses_and_doubles_nothing_unexplained(
    drill: Drill, machine: OtherMachine
) -> None:
    """Red when a worker that comes back writes over what others did meanwhile, or keeps what it had for ever."""
    connect(drill, machine)
    far = drill.hub.add("worker")
    far.host = machine.to_rest.there
    await far.start(wrapper=machine.wrapper)
    await drill.hub.start()
    await drill.subscribe("slow")
    await drill.receiver.behave("slow", delay=0.3)
    refusals = await publish_through(drill, machine.to_store.cut, machine.to_store.mend, CUT_SECONDS)
    assert refusals == []
    verdict = await drill.verdict("F21-worker")
    assert verdict.passed, verdict
    assert verdict.dup <= 256
