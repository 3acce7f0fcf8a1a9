"""A program that fills the small disk at its argument under an open store and asserts how the store bears it."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from hub.errors import Unavailable
from hub.models import Status
from hub.stores import open_store
from hub.stores.base import EventQuery, Page, Store, WriteOutcome
from hub.testing.clock import ManualClock
from hub.testing.patience import soon
from hub.testing.stores.samples import TENANT, attempted, batch, claim, entry, event, publish, result


async def accept_forever(store: Store, accepted: list[str]) -> None:
    while True:
        new = event(data=b'"' + b"x" * 10_000 + b'"')
        await store.intake.accept(batch(entry(new)))
        accepted.append(new.id)


async def deliver_all(store: Store) -> None:
    """Claim and record everything that waits, with much to write for each."""
    while claims := await claim(store, limit=20):
        results = [result(one, Status.DELIVERED, reason="r" * 500) for one in claims]
        assert set(await store.queue.finish(results)) == {WriteOutcome.RECORDED}


def fill(path: Path) -> None:
    block = b"x" * 65_536
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(block) == len(block):
            pass


async def assert_refused(store: Store) -> Sequence[str]:
    with pytest.raises(Unavailable):
        await store.intake.accept(batch(entry(event())))
    return await store.upkeep.check()


async def main(folder: Path) -> None:
    async with open_store(f"sqlite:///{folder / 'hub.db'}", ManualClock()) as store:
        for _ in range(300):
            await publish(store, "sub_1")
        first = await claim(store, limit=50)
        assert len(first) == 50
        fill(folder / "filler")
        accepted: list[str] = []
        with pytest.raises(Unavailable) as refused:
            await accept_forever(store, accepted)
        assert refused.value.retry_after, "callers are told when to come back"
        assert not (folder / "hub.reserve").exists(), "the reserve was given back"
        last = (await store.feed.bounds())[1]
        results = [result(one, Status.DELIVERED) for one in first]
        assert set(await store.queue.finish(results)) == {WriteOutcome.RECORDED}, (
            "results are recorded from the reserve"
        )
        await soon(store.feed.wait(last))
        assert [row.entry for row in await store.feed.read(last, 100)] == [attempted(one) for one in first]
        await deliver_all(store)
        assert await assert_refused(store), "the check says what is wrong"
        kept = (await store.archive.events(TENANT, EventQuery(), Page(1_000))).items
        assert len(kept) == 300 + len(accepted), "what was acknowledged is there, and nothing else"
        (folder / "filler").unlink()
        await publish(store)
        assert (folder / "hub.reserve").stat().st_size == 8 * 1024 * 1024, "the reserve is held again"
        assert not await store.upkeep.check()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
