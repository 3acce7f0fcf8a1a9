"""What is claimed, and for how long the store is left alone."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import apsw
from structlog.testing import capture_logs

from channels.base import ChannelUnavailable
from hub.dispatch.fetching import DELETED_LANE_ROOM, groups_of, policy_of
from hub.dispatch.groups import Groups
from hub.models import FeedEntry, Record
from hub.stores.base import LanePolicy, Records
from hub.testing.clock import ManualClock
from hub.testing.receivers import Receiver
from hub.testing.stores.samples import batch, entry, event
from tests.api_support import Api, open_api, settings_for
from tests.hub.dispatch.hanging import turn
from tests.hub.dispatch.parts import TENANT, Parts, outage


async def test_a_lane_is_claimed_from_as_its_subscription_allows(parts: Parts) -> None:
    subscription = await parts.subscribe(max_in_flight=3, rate_limit={"per_second": 5.0})
    assert policy_of(parts.catalogue, parts.sender.holds, subscription.id) == LanePolicy(
        3, 5.0, subscription.version, subscription.address
    )


async def test_what_is_for_a_disabled_subscription_is_held(parts: Parts) -> None:
    subscription = await parts.subscribe(enabled=False)
    assert policy_of(parts.catalogue, parts.sender.holds, subscription.id) is None


async def test_what_no_setting_allows_to_be_sent_is_held(parts: Parts) -> None:
    subscription = await parts.subscribe()
    parts.channel.missing = "HUB_SCRIPTED_KEY is not set"
    assert policy_of(parts.catalogue, parts.sender.holds, subscription.id) is None


async def test_what_was_refused_is_tried_with_one_delivery_at_a_time(parts: Parts) -> None:
    subscription = await parts.subscribe(max_in_flight=3)
    parts.sender.holds.learn(subscription, ChannelUnavailable("the key is refused"), parts.clock.now())
    policy = policy_of(parts.catalogue, parts.sender.holds, subscription.id)
    assert policy == LanePolicy(1, None, subscription.version, subscription.address)
    parts.sender.holds.learn(subscription, None, parts.clock.now())
    policy = policy_of(parts.catalogue, parts.sender.holds, subscription.id)
    assert policy == LanePolicy(3, None, subscription.version, subscription.address)


async def test_what_is_for_a_deleted_subscription_is_claimed_to_be_cancelled(parts: Parts) -> None:
    policy = policy_of(parts.catalogue, parts.sender.holds, "sub_gone")
    assert policy == LanePolicy(DELETED_LANE_ROOM, None, parts.catalogue.version, "nowhere")


async def test_a_lane_belongs_to_its_tenant_and_to_the_host_of_its_target(parts: Parts) -> None:
    subscription = await parts.subscribe()
    assert groups_of(parts.catalogue, parts.sender, subscription.id) == Groups(TENANT, "scripted")
    assert groups_of(parts.catalogue, parts.sender, "sub_gone") == Groups("", "")


async def test_a_lane_that_cannot_be_claimed_is_held_alone_with_the_reason(tmp_path: Path) -> None:
    async with open_api(settings_for(tmp_path), ManualClock()) as api, Receiver() as receiver:
        target = {"url": receiver.url}
        broken = await api.subscribe(channel="webhook", target=target, event_types=["broken"])
        await api.subscribe(channel="webhook", target=target, event_types=["whole"])
        database = apsw.Connection(str(tmp_path / "var" / "hub.db"))
        deliver_at = (api.clock.now() + timedelta(seconds=10)).isoformat()
        for name in ("broken", "whole", "whole"):
            await api.publish(name, deliver_at=deliver_at)
        database.execute(
            "CREATE TRIGGER broken BEFORE UPDATE ON deliveries WHEN NEW.event_type = 'broken'"
            " BEGIN SELECT RAISE(ABORT, 'it is broken'); END"
        )
        api.clock.advance(10)
        assert len(await api.deliveries("delivered", 2)) == 2

        async def held() -> bool:
            shown = (await api.admin.get(f"/v1/subscriptions/{broken['id']}")).json()
            return "its deliveries cannot be claimed: " in (shown["unavailable"] or "")

        await api.until(held)
        ready = await api.admin.get("/readyz")
        assert ready.status_code == 200
        assert "cannot be claimed" in str(ready.json()["warnings"])
        database.execute("DROP TRIGGER broken")
        database.close()
        api.clock.advance(10)
        assert len(await api.deliveries("delivered", 3)) == 3


async def test_a_dispatcher_that_gets_no_answer_is_stalled(api: Api) -> None:
    async with Receiver() as receiver:
        await api.subscribe(channel="webhook", target={"url": receiver.url})
        await api.publish(deliver_at=(api.clock.now() + timedelta(seconds=10)).isoformat())
        await api.services.housekeeping.stop(0)
        api.clock.advance(9)
        assert api.dispatcher.stalled_seconds == 0, "nothing is due"
        with outage(api.store):
            for _ in range(8):
                api.clock.advance(5)
                await turn()
            assert api.dispatcher.stalled_seconds > 30
        api.clock.advance(5)
        await api.deliveries("delivered")
        assert api.dispatcher.stalled_seconds == 0


async def test_work_that_cannot_be_claimed_is_claimed_when_the_store_is_back(api: Api) -> None:
    async with Receiver() as receiver:
        await api.subscribe(channel="webhook", target={"url": receiver.url})
        await api.publish(deliver_at=(api.clock.now() + timedelta(seconds=10)).isoformat())
        await api.services.housekeeping.stop(0)
        with outage(api.store):
            api.clock.advance(10)
            await turn()
            assert api.dispatcher.lanes.in_flight == 0
        await turn()
        assert receiver.requests == [], "the store is left alone for a while"
        api.clock.advance(5)
        await api.deliveries("delivered")


class FailingRecords(Records):
    """Records whose reading meets an error that nobody foresaw, until `fails` is unset."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.fails = True

    async def write(
        self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
    ) -> int:
        return await self._records.write(records, feed, expected=expected)

    async def changes(self, since: int) -> tuple[Sequence[Record], int]:
        if self.fails:
            raise RuntimeError
        return await self._records.changes(since)


async def test_an_error_between_a_claim_and_its_attempts_gives_the_room_back(api: Api) -> None:
    await api.services.housekeeping.stop(0)
    catalogue, lanes = api.process.core.catalogue, api.dispatcher.lanes
    records = FailingRecords(api.store.records)
    catalogue._records = records
    entries = [entry(event(tenant="default"), ["sub_of_another_process"]) for _ in range(3)]
    await api.store.intake.accept(batch(*entries, tenant="default", catalogue_version=catalogue.version))
    with capture_logs() as lines:
        api.dispatcher.notify({"sub_of_another_process": None})

        async def failed() -> bool:
            return any(line["event"] == "background.failed" for line in lines) and lanes.in_flight == 0

        await api.until(failed)
    # Nothing was sent, or taken for deleted; it goes on when the catalogue can be read.
    assert len(await api.deliveries("pending", 3)) == 3
    records.fails = False
    api.clock.advance(1)
    assert len(await api.deliveries("cancelled", 3)) == 3
    assert lanes.in_flight == 0
