"""A clock that has jumped decides about nothing until it is trusted."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hub.maintenance.clock_watch import HOLD_SECONDS, ClockWatch, reason_of, seen
from hub.stores import open_store
from hub.stores.base import ClockMark, Store
from hub.testing.clock import START, ManualClock
from tests.api_support import Api, open_api, settings_for

HOUR = 3_600.0
DAY = 24 * HOUR
FIRST = ClockMark("boot", 100.0, 1_000_000_000, 1_000_000_000)


def later(passed: float, *, wall: float = 0.0, store: float = 0.0, boot: str = "boot") -> ClockMark:
    """What is seen after so many seconds, in which the time of day and the store's went on by so much more."""
    return ClockMark(
        boot, 100.0 + passed, FIRST.wall + int((passed + wall) * 1000), FIRST.store + int((passed + store) * 1000)
    )


@pytest.mark.parametrize(
    ("seconds", "trusted"), [(0, True), (3_600, True), (-3_600, True), (3_601, False), (-3_601, False)]
)
def test_a_clock_that_is_off_by_more_than_an_hour_has_jumped(seconds: float, trusted: bool) -> None:
    assert seen(FIRST, later(60, wall=seconds)).trusted is trusted
    assert seen(FIRST, later(60, store=seconds)).trusted is trusted


def test_what_is_seen_first_is_trusted() -> None:
    assert seen(None, FIRST) == FIRST


def test_small_steps_do_not_add_up() -> None:
    mark = FIRST
    for step in range(1, 10):
        mark = seen(mark, later(60 * step, wall=1_800 * step))
    assert mark.trusted


def test_a_jump_is_remembered_until_it_is_undone_or_a_day_has_passed() -> None:
    jumped = seen(FIRST, later(60, wall=40 * DAY))
    assert (jumped.wall_off, jumped.store_off, jumped.held) == (40 * DAY, 0.0, 0.0)
    held = seen(jumped, later(60 + HOUR, wall=40 * DAY))
    assert (held.wall_off, held.held) == (40 * DAY, HOUR)
    assert seen(held, later(60 + 2 * HOUR)).trusted
    assert not seen(jumped, later(60 + HOLD_SECONDS - 1, wall=40 * DAY)).trusted
    assert seen(jumped, later(60 + HOLD_SECONDS, wall=40 * DAY)).trusted


def test_another_jump_begins_another_day() -> None:
    jumped = seen(seen(FIRST, later(60, wall=2 * HOUR)), later(60 + HOUR, wall=2 * HOUR))
    assert jumped.held == HOUR
    assert seen(jumped, later(60 + 2 * HOUR, wall=9 * HOUR)).held == 0.0


@pytest.mark.parametrize(("moved", "trusted"), [(0, True), (23 * HOUR, True), (25 * HOUR, False), (-2 * HOUR, False)])
def test_after_another_boot_up_to_a_day_is_believed(moved: float, trusted: bool) -> None:
    assert seen(FIRST, later(0, wall=moved, store=moved, boot="another")).trusted is trusted


def test_a_boot_that_is_not_known_is_another_one() -> None:
    unknown = replace(FIRST, boot="")
    assert seen(unknown, later(0, wall=23 * HOUR, boot="")).trusted


def test_the_sentence_names_the_clock_the_jump_and_the_command() -> None:
    reason = reason_of(replace(FIRST, wall_off=-2 * HOUR, held=HOUR))
    assert reason is not None
    assert "time of day of this hub jumped 2 h back" in reason
    assert "for 23 h" in reason
    assert "hub doctor --accept-clock" in reason
    assert "its store jumped 960 h ahead" in (reason_of(replace(FIRST, store_off=40 * DAY)) or "")


@pytest.fixture(params=["sqlite", "valkey"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'hub.db'}"
    address: str = request.getfixturevalue("valkey").url()
    return address


@pytest.fixture
def opened(url: str, tmp_path: Path, clock: ManualClock) -> AbstractAsyncContextManager[Api]:
    return open_api(settings_for(tmp_path, store_url=url), clock)


@pytest.fixture
async def api(opened: AbstractAsyncContextManager[Api]) -> AsyncIterator[Api]:
    async with opened as api:
        yield api


async def warnings(api: Api) -> list[str]:
    found: list[str] = (await api.admin.get("/readyz")).json().get("warnings", [])
    return [warning for warning in found if "jumped" in warning]


async def test_retention_removes_nothing_while_the_clock_is_ahead(api: Api) -> None:
    event = await api.publish()
    api.clock.set_back(-400 * DAY)
    for name in ("retention", "feed-trim", "expired-records"):
        done = await api.services.housekeeping.job(name)()
        assert done["removed"] == 0
        assert "9,600 h ahead" in done["held"]
    assert "held" in await api.services.housekeeping.job("temp-files")()
    assert len(await warnings(api)) == 1
    assert "\nhub_clock_off_seconds 3.456e+07\n" in (await api.admin.get("/metrics")).text
    api.clock.set_back(400 * DAY)
    assert await api.services.housekeeping.job("retention")() == {"removed": 0}
    assert await warnings(api) == []
    assert (await api.admin.get(f"/v1/events/{event}")).status_code == 200


async def test_a_restart_does_not_hide_a_jump(url: str, tmp_path: Path, clock: ManualClock) -> None:
    settings = settings_for(tmp_path, store_url=url)
    async with open_api(settings, clock) as api:
        event = await api.publish()
    clock.set_back(-40 * DAY)
    clock.advance(60)
    async with open_api(settings, clock) as api:
        assert "held" in await api.services.housekeeping.job("retention")()
        assert len(await warnings(api)) == 1
        assert (await api.admin.get(f"/v1/events/{event}")).status_code == 200


async def test_an_event_does_not_expire_by_a_jump(api: Api) -> None:
    made = await api.subscribe()
    address = f"/v1/subscriptions/{made['id']}"
    await api.admin.patch(address, json={"enabled": False})
    await api.publish(expires_at=(START + timedelta(hours=1)).isoformat())
    api.clock.set_back(-40 * DAY)
    assert api.process.core.clock_watch.time_of_day() == START
    await api.admin.post(f"{address}/enable")
    await api.deliveries("delivered")
    api.clock.advance(HOLD_SECONDS)
    assert api.process.core.clock_watch.time_of_day() == api.clock.now()


async def test_an_hour_is_not_a_jump(url: str, clock: ManualClock) -> None:
    async with open_store(url, clock) as store:
        watch = await looked(store, clock)
        clock.set_back(HOUR)
        assert watch.time_of_day() == clock.now()
        assert await watch.look() is None


async def looked(store: Store, clock: ManualClock) -> ClockWatch:
    watch = ClockWatch(clock, store.clock)
    assert await watch.look() is None
    return watch
