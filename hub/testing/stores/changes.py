"""Changes to the deliveries of events are kept while they are under way."""

from dataclasses import replace
from datetime import timedelta

from hub.stores.base import ChangeKind, EventChange, Store
from hub.testing.clock import START
from hub.testing.stores.samples import TENANT, publish
from hub.testing.stores.suite import OpenStore, StoreSuite

REPLAY = EventChange("chg_1", TENANT, "evt_1", ChangeKind.REPLAY, START, ("sub_1", "sub_2"))


class EventChangesConformance(StoreSuite):
    """The port `EventChanges`."""

    async def test_a_change_is_kept_over_a_restart_as_far_as_it_is_until_it_ends(self, opened: OpenStore) -> None:
        store = await opened.open()
        await store.changes.save(REPLAY)
        moved = replace(REPLAY, after="a cursor")
        await store.changes.save(moved)
        store = await opened.reopen()
        assert list(await store.changes.unfinished(10)) == [moved]
        await store.changes.end(moved)
        await store.changes.end(moved)
        assert list(await store.changes.unfinished(10)) == []

    async def test_those_that_were_asked_for_first_come_first(self, store: Store) -> None:
        asked = [
            replace(REPLAY, id=f"chg_{n}", requested_at=START + timedelta(seconds=n), subscription_ids=None)
            for n in (2, 1, 3)
        ]
        for change in asked:
            await store.changes.save(change)
        assert list(await store.changes.unfinished(2)) == [asked[1], asked[0]]

    async def test_cancelling_an_event_begins_a_change(self, store: Store) -> None:
        event = await publish(store, "sub_1")
        for _ in range(2):
            await store.intake.cancel(TENANT, event.id, START)
        assert list(await store.changes.unfinished(10)) == [
            EventChange(event.id, TENANT, event.id, ChangeKind.CANCEL, START)
        ]
