"""Drills of what one process does for all: the leader dies or freezes, and a process dies in the middle of a task."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.drill import Drill
from tests.faults.hub_process import ROOT, HubProcess, environment
from tests.faults.patience import until
from tests.plain_http import NO_TLS

TAKEOVER_SECONDS = 15.0
TWO_LOOKS_SECONDS = 32.0
"""In which whoever shows no sign of life is found dead."""
RECOVERY_SECONDS = 50.0
"""The lease of a dead process, and the two looks that must find it dead."""
pytestmark = [pytest.mark.drill, pytest.mark.timeout(180)]

TASK = """
import asyncio
from hub.telemetry.log import configure
from hub.cluster.roles import Role
from hub.runtime import open_process
from hub.settings import Settings
from hub.telemetry.tracing import Tracing

async def endless(progress):
    await asyncio.get_running_loop().create_future()

async def main():
    async with open_process(Settings(), Tracing(""), roles={Role.WEB}) as process:
        task = await process.services.tasks.start("default", "export", endless)
        print(task.id, flush=True)
        await asyncio.sleep(1_000)

configure("warning", "json")
asyncio.run(main())
"""


async def leads(scheduler: HubProcess) -> bool:
    async with httpx.AsyncClient(verify=NO_TLS, trust_env=False, timeout=PATIENCE_SECONDS) as client:
        metrics = (await client.get(f"{scheduler.url}/metrics")).text
    return re.search(r"^hub_leads 1\.0$", metrics, re.MULTILINE) is not None


@pytest.fixture
async def schedulers(drill: Drill) -> list[HubProcess]:
    """Two, of which the first leads."""
    drill.hub.settings["log_level"] = "debug"
    drill.hub.settings["log_format"] = "json"
    await drill.hub.start()
    first = drill.hub.having("scheduler")[0]
    await until(lambda: leads(first), TAKEOVER_SECONDS)
    second = drill.hub.add("scheduler")
    await second.start()
    return [first, second]


async def test_a_leader_that_is_killed_is_followed_within_fifteen_seconds(schedulers: list[HubProcess]) -> None:
    """Red when the right to lead has no end."""
    first, second = schedulers
    assert not await leads(second)
    await first.kill()
    await until(lambda: leads(second), TAKEOVER_SECONDS)


async def test_a_leader_that_is_stopped_is_followed_at_once(schedulers: list[HubProcess]) -> None:
    """Red when the right is not given back."""
    first, second = schedulers
    await first.stop()
    await until(lambda: leads(second), 3)


async def test_a_leader_that_was_frozen_fires_nothing_more(drill: Drill, schedulers: list[HubProcess]) -> None:
    """Red when the leader does not ask before it fires: jobs came due while it was frozen."""
    first, second = schedulers
    first.signal(signal.SIGSTOP)
    await until(lambda: leads(second), TAKEOVER_SECONDS)
    # Every job that is done each fifteen seconds has come due in both.
    await asyncio.sleep(20)
    asleep_until = len(first._log.read_text())
    first.signal(signal.SIGCONT)
    await asyncio.sleep(5)
    said = [json.loads(line) for line in first._log.read_text()[asleep_until:].splitlines() if line.startswith("{")]
    fired = {line.get("schedule") for line in said if line["event"] == "schedule.completed"}
    assert fired <= {"temp-files"}
    assert (await leads(first), await leads(second)) == (False, True)
    async with drill.hub.client() as api:
        schedules = (await api.get("/v1/schedules")).json()["items"]
    assert {"abandoned-tasks", "temp-files"} <= {item["name"] for item in schedules if item["last_run_at"]}


@pytest.fixture
def dying(drill: Drill) -> Iterator[subprocess.Popen[str]]:
    """A web process that has told the id of a task which never ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", TASK],
        cwd=ROOT,
        env=environment(drill.hub.directory, drill.hub.settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        yield process
        process.kill()


async def test_the_task_of_a_web_process_that_was_killed_does_not_look_alive_for_long(
    drill: Drill, schedulers: list[HubProcess], dying: subprocess.Popen[str]
) -> None:
    """Red when tasks are recovered at a start only, or by no sign of life."""
    assert dying.stdout is not None
    task = (await asyncio.to_thread(dying.stdout.readline)).strip()
    async with drill.hub.client() as api:

        async def failed() -> bool:
            status = (await api.get(f"/v1/tasks/{task}")).json()["status"]
            assert status in {"pending", "running", "failed"}
            return bool(status == "failed")

        with pytest.raises(TimeoutError):
            await until(failed, TWO_LOOKS_SECONDS, every=0.5)
        dying.kill()
        await until(failed, RECOVERY_SECONDS, every=0.5)
