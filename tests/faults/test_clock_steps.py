"""Drill F42: the time of day is set while the hub works. The machine's uptime and Redis do not notice."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import FAKETIME
from tests.faults.conftest import on_redis
from tests.faults.drill import Drill

pytestmark = pytest.mark.drill
STEPS = ("-1h", "+0h", "+40d", "+0h")
"""What the time of day is set to, against the true one. What goes by it would wait for an hour, or be removed."""


class TimeOfDay:
    """The time of day of processes that are started under `wrapper`; it can be set while they run."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "time-of-day"
        self.set("+0h")

    @property
    def wrapper(self) -> tuple[str, ...]:
        """See `Hub.start`. https://github.com/wolfcw/libfaketime"""
        settings = {
            "LD_PRELOAD": str(FAKETIME[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return ("env", *(f"{name}={value}" for name, value in settings.items()))

    def set(self, offset: str) -> None:
        """Against the true one, such as `-1h`."""
        # Never seen half written.
        written = self._file.with_suffix(".new")
        written.write_text(f"{offset}\n")
        written.replace(self._file)


@pytest.fixture
def time_of_day(tmp_path: Path) -> TimeOfDay:
    return TimeOfDay(tmp_path)


@pytest.mark.faketime
async def test_f42_a_time_of_day_that_is_set_stalls_nothing_and_removes_nothing(
    drill: Drill, time_of_day: TimeOfDay
) -> None:
    """Red when due times or leases go by the time of day, or retention acts on a jump."""
    await drill.hub.start(wrapper=time_of_day.wrapper)
    await drill.subscribe("ok")
    await drill.subscribe("flaky")
    for offset in STEPS:
        # Its retries wait while the time of day is set.
        await drill.receiver.behave("flaky", status=500)
        await drill.publisher.publish_many(2)
        time_of_day.set(offset)
        await drill.receiver.behave("flaky")
        await drill.publisher.publish_many(2)
        async with drill.hub.client() as api:
            for name in ("retention", "feed-trim", "expired-records"):
                (await api.post(f"/v1/schedules/{name}/run")).raise_for_status()
        await drill.drained(60)
    verdict = await drill.verdict("F42")
    assert verdict.passed, verdict


@on_redis
async def test_f42_a_server_whose_clock_is_set_stalls_nothing_that_is_due(drill: Drill) -> None:
    """Red when what is due waits for the instant at which it became due."""
    assert drill.server is not None
    await drill.hub.start()
    await drill.subscribe("ok")
    prefix = drill.hub.settings["store_url"].partition("prefix=")[2]
    for hours in (-1, 1, 24, 0):
        sending = asyncio.create_task(drill.publisher.publish_many(6, clients=2))
        await asyncio.to_thread(drill.server.ask, "HSET", f"{{{prefix}}}:clock", "offset", hours * 3_600_000)
        await sending
        await drill.drained(60)
    verdict = await drill.verdict("F42-server")
    assert verdict.passed, verdict
