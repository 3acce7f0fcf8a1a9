"""No number is counted without an end."""

from pathlib import Path

import pytest

from hub.models import Outcome, Status
from hub.stores import open_store
from hub.stores.sqlite import stats as module
from hub.testing.clock import START, ManualClock
from hub.testing.stores.samples import TENANT, batch, claim, entry, event, result


@pytest.mark.parametrize(("most", "at_least"), [(5, True), (50, False)])
async def test_a_count_ends_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, at_least: bool
) -> None:
    monkeypatch.setattr(module, "COUNTED", most)
    async with open_store(f"sqlite:///{tmp_path / 'hub.db'}", ManualClock()) as store:
        await store.intake.accept(batch(*(entry(event(), ["sub_1"], index=n) for n in range(20))))
        claims = await claim(store, limit=12)
        await store.queue.finish([result(one, Status.DELIVERED) for one in claims[:6]])
        await store.queue.finish([result(one, Status.DEAD, Outcome.FAILED) for one in claims[6:]])
        numbers = await store.archive.stats(TENANT, START, None)
    assert numbers.at_least is at_least
    assert (numbers.accepted, numbers.total.pending, numbers.total.dead) == (min(20, most), min(8, most), min(6, most))
    assert numbers.total.delivered + numbers.total.failed_attempts == min(12, most)
    assert numbers.total.oldest_pending_at == START
