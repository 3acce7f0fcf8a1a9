"""Copying one store into another: only what may be copied, whole, and from where it stopped."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.cluster.lease import PROCESSES
from hub.errors import Conflict, HubError, Unavailable
from hub.maintenance.copy import COPY_LEASE, copy, refuse_half_copied
from hub.models import Record, Status
from hub.stores import open_store
from hub.testing.clock import ManualClock
from hub.testing.stores.samples import TENANT, batch, claim, entry, event, publish, result, task
from tests.redis_servers import VALKEY, RedisServer


class Killed(BaseException):
    """The end of a process, as far as a test can make one."""


@pytest.fixture
def file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'file.db'}"


@pytest.fixture
def other_file(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'other.db'}"


def to_nobody(section: str, done: int, total: int) -> None:
    """Whoever copies hears nothing."""


async def fill(url: str, events: int = 12) -> None:
    async with open_store(url, ManualClock()) as store:
        for _ in range(events):
            await publish(store, "sub_1", "sub_2")
        await store.queue.finish([result(one, Status.DELIVERED) for one in await claim(store, "sub_1")])
        await store.tasks.save(task())
        await store.records.write([Record("subscription", TENANT, "sub_1", b"{}")])


async def totals(url: str) -> dict[str, int]:
    async with open_store(url, ManualClock()) as store:
        return {str(name): count for name, count in (await store.transfer.totals()).items()}


def killed_after(tellings: int) -> Callable[[str, int, int], None]:
    left = tellings

    def told(section: str, done: int, total: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    return told


@pytest.mark.parametrize("ways", ["file to server", "server to file", "file to file", "server to server"])
async def test_everything_is_copied_and_counted_whichever_way(
    ways: str, file: str, other_file: str, valkey: RedisServer, clock: ManualClock
) -> None:
    kinds = {"file": [other_file, file], "server": [valkey.url(), valkey.url()]}
    source, destination = (kinds[kind].pop() for kind in ways.split(" to "))
    await fill(source)
    copied = await copy(source, destination, clock, to_nobody)
    assert copied == await totals(destination) == await totals(source)
    assert (copied["events"], copied["deliveries"], copied["attempts"], copied["records"]) == (12, 24, 12, 1)


async def test_progress_is_told_from_nothing_to_all_of_every_section(
    file: str, other_file: str, clock: ManualClock
) -> None:
    await fill(file)
    told: list[tuple[str, int, int]] = []
    await copy(file, other_file, clock, lambda *step: told.append(step))
    assert told[:4] == [("records", 0, 1), ("records", 1, 1), ("events", 0, 12), ("events", 12, 12)]
    assert told[-1] == ("feed", 24, 24)


async def test_wherever_it_is_killed_the_next_copy_goes_on_from_there(
    file: str, valkey: RedisServer, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.maintenance.copy.DOCUMENTS", 3)
    await fill(file)
    destination = valkey.url()
    kills, whole = 0, False
    while not whole:
        try:
            await copy(file, destination, clock, killed_after(kills + 1))
            whole = True
        except Killed:
            kills += 1
    assert kills > 6
    assert await totals(destination) == await totals(file)


async def test_a_destination_that_holds_anything_else_is_refused_and_left_as_it_is(
    file: str, valkey: RedisServer, clock: ManualClock
) -> None:
    destination = valkey.url()
    await fill(file)
    await fill(destination, 1)
    before = await totals(destination)
    with pytest.raises(Conflict, match=r"not empty \(1 records, 1 events"):
        await copy(file, destination, clock, to_nobody)
    assert await totals(destination) == before


async def test_an_empty_source_is_refused(file: str, other_file: str, clock: ManualClock) -> None:
    with pytest.raises(Conflict, match="holds nothing"):
        await copy(file, other_file, clock, to_nobody)


async def test_a_copy_that_is_whole_may_be_repeated_until_one_of_the_two_is_used(
    file: str, valkey: RedisServer, clock: ManualClock
) -> None:
    await fill(file)
    destination = valkey.url()
    copied = await copy(file, destination, clock, to_nobody)
    assert await copy(file, destination, clock, to_nobody) == copied
    async with open_store(destination, clock) as store:
        await store.intake.accept(batch(entry(event()), catalogue_version=1))
    with pytest.raises(Conflict, match="was used since"):
        await copy(file, destination, clock, to_nobody)


async def test_a_source_that_was_used_since_the_copy_began_is_refused(
    file: str, other_file: str, clock: ManualClock
) -> None:
    await fill(file)
    with pytest.raises(Killed):
        await copy(file, other_file, clock, killed_after(3))
    async with open_store(file, clock) as store:
        await store.intake.accept(batch(entry(event()), catalogue_version=1))
    with pytest.raises(Conflict, match="not what it was"):
        await copy(file, other_file, clock, to_nobody)


async def test_no_hub_begins_on_a_store_that_is_half_copied(file: str, other_file: str, clock: ManualClock) -> None:
    await fill(file)
    with pytest.raises(Killed):
        await copy(file, other_file, clock, killed_after(3))
    async with open_store(other_file, clock) as store:
        with pytest.raises(HubError, match="unfinished copy"):
            await refuse_half_copied(store)
    with pytest.raises(HubError, match="unfinished copy"):
        await copy(other_file, file, clock, to_nobody)
    await copy(file, other_file, clock, to_nobody)
    async with open_store(other_file, clock) as store:
        await refuse_half_copied(store)


@pytest.mark.parametrize("used", ["source", "destination"])
async def test_a_store_that_a_hub_runs_on_is_refused(used: str, valkey: RedisServer, clock: ManualClock) -> None:
    urls = {"source": valkey.url(), "destination": valkey.url()}
    await fill(urls["source"])
    async with open_store(urls[used], clock) as store:
        await store.leases.acquire(f"{PROCESSES}one", "one", 10)
        with pytest.raises(Conflict, match=f"A hub runs on the {used}"):
            await copy(urls["source"], urls["destination"], clock, to_nobody)
        await store.leases.release(f"{PROCESSES}one", "one")
        await copy(urls["source"], urls["destination"], clock, to_nobody)


async def test_a_file_that_a_hub_has_open_is_refused(file: str, other_file: str, clock: ManualClock) -> None:
    await fill(file)
    async with open_store(file, clock):
        with pytest.raises(Unavailable, match="in use by another hub"):
            await copy(file, other_file, clock, to_nobody)


async def test_while_a_copy_is_under_way_no_hub_begins_on_either_store(valkey: RedisServer, clock: ManualClock) -> None:
    source, destination = valkey.url(), valkey.url()
    await fill(source)
    async with open_store(source, clock) as store:
        await store.leases.acquire(COPY_LEASE, "another copy", 10)
        with pytest.raises(HubError, match="is being copied"):
            await refuse_half_copied(store)
        await store.leases.release(COPY_LEASE, "another copy")
        await copy(source, destination, clock, to_nobody)
        await refuse_half_copied(store)


async def test_a_count_that_differs_at_the_end_is_one_clear_error_and_the_copy_stays_unfinished(
    file: str, valkey: RedisServer, clock: ManualClock
) -> None:
    await fill(file)
    destination = valkey.url("lossy")

    def lose(section: str, done: int, total: int) -> None:
        if section == "feed" and done == total:
            index = f"{{lossy}}:events:{TENANT}"
            valkey.ask("ZREM", index, valkey.ask("ZRANGE", index, 0, 0)[0])

    with pytest.raises(HubError, match=r"incomplete: the destination has 11 of 12 events\."):
        await copy(file, destination, clock, lose)
    async with open_store(destination, clock) as store:
        with pytest.raises(HubError, match="unfinished copy"):
            await refuse_half_copied(store)


async def test_trouble_that_passes_only_delays_the_copy(file: str, tmp_path: Path) -> None:
    await fill(file, 3)
    with RedisServer(VALKEY, tmp_path / "server", appendfsync="always") as server:
        destination = server.url()
        restarts = iter([True])

        def restart(section: str, done: int, total: int) -> None:
            if section == "idempotency" and next(restarts, False):
                server.kill()
                server.start()

        copied = await copy(file, destination, SystemClock(), restart)
    assert copied["events"] == 3
