"""A model of a store: the contracts of `hub.stores.base` in the simplest form that keeps them, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from hub.clock import Clock
from hub.errors import Invalid, StaleCatalogue
from hub.models import Attempt, Delivery, Event, FeedEntry, Record, Status
from hub.stores.base import (
    AcceptResult,
    Archive,
    Batch,
    ChangeKind,
    Claim,
    ClaimRequest,
    ClaimResult,
    DeliveryQuery,
    Effect,
    EventChange,
    EventChanges,
    EventQuery,
    FanOut,
    Idempotency,
    Intake,
    ItemResult,
    Listing,
    Match,
    NewDelivery,
    Page,
    Records,
    Result,
    Stats,
    WriteOutcome,
)
from hub.stores.process.gated_queue import GatedQueue
from tests.simulation.contents import Contents, Row, add_delivery

_RECLAIM_SECONDS = 60.0


class ModelIntake(Intake):
    def __init__(self, contents: Contents, clock: Clock) -> None:
        self._contents = contents
        self._clock = clock

    async def accept(self, batch: Batch) -> AcceptResult:
        contents = self._contents
        if batch.idempotency and (answer := await self.recall(batch.tenant, batch.idempotency)):
            return answer
        if contents.has_moved(batch.tenant, batch.catalogue_version):
            raise StaleCatalogue("The catalogue has changed.")
        verdicts = list(batch.rejected)
        for entry in batch.entries:
            event = entry.event
            first = next((one for one in contents.events.values() if _same(one, event)), None)
            if first is not None:
                verdicts.append(ItemResult(entry.index, "duplicate", first.id))
                continue
            contents.events[event.id] = event
            contents.feed.append(entry.feed)
            for new in entry.deliveries:
                add_delivery(contents, new, event, self._clock)
            if entry.fan_out is not None:
                contents.cursors[event.id] = ("", entry.fan_out)
            verdicts.append(ItemResult(entry.index, "accepted", event.id))
        result = AcceptResult(tuple(sorted(verdicts, key=lambda verdict: verdict.index)))
        if (key := batch.idempotency) is not None:
            until = self._clock.monotonic() + key.seconds
            contents.answers[batch.tenant, key.key] = key.fingerprint, until, replace(result, replayed=True)
        return result

    async def recall(self, tenant: str, idempotency: Idempotency) -> AcceptResult | None:
        kept = self._contents.answers.get((tenant, idempotency.key))
        if kept is None or kept[1] <= self._clock.monotonic():
            return None
        if kept[0] != idempotency.fingerprint:
            raise Invalid("This idempotency key came with another request.")
        return kept[2]

    async def fan_outs(self, limit: int, after: str = "") -> Sequence[FanOut]:
        waiting = [(self._contents.events[id_], id_, cursor) for id_, (cursor, _) in self._contents.cursors.items()]
        tenants = sorted({event.tenant for event, _, _ in waiting})
        turn = next((tenant for tenant in tenants if tenant > after), tenants[0] if tenants else None)
        return [FanOut(event, cursor, id_) for event, id_, cursor in waiting if event.tenant == turn][:limit]

    async def match(self, name: str) -> Match | None:
        return self._contents.cursors[name][1] if name in self._contents.cursors else None

    async def expand(self, fan_out: FanOut, deliveries: Sequence[NewDelivery], after: str | None) -> bool:
        event = self._contents.events[fan_out.event.id]
        cursor, match = self._contents.cursors.get(event.id, (None, None))
        if match is None or cursor != fan_out.after:
            return False
        for new in deliveries:
            add_delivery(self._contents, new, event, self._clock)
        if after is None:
            del self._contents.cursors[event.id]
        else:
            self._contents.cursors[event.id] = (after, match)
        return True

    async def cancel(self, tenant: str, event_id: str, at: datetime) -> bool:
        event = self._contents.events.get(event_id)
        if event is None or event.tenant != tenant or event.cancelled_at is not None:
            return False
        self._contents.events[event_id] = event.model_copy(update={"cancelled_at": at})
        self._contents.cursors.pop(event_id, None)
        self._contents.changes[event_id] = EventChange(event_id, tenant, event_id, ChangeKind.CANCEL, at)
        return True


def _same(one: Event, other: Event) -> bool:
    named = one.source_id is not None and one.source_id == other.source_id
    return named and one.source == other.source and one.tenant == other.tenant


class ModelQueue(GatedQueue):
    def __init__(self, contents: Contents, clock: Clock, random: Random) -> None:
        super().__init__(clock, random)
        self._contents = contents

    async def due(self) -> Mapping[str, datetime]:
        due: dict[str, datetime] = {}
        for row in self._rows(Status.PENDING):
            at, lane = self._due_at(row), row.delivery.lane
            due[lane] = min(at, due.get(lane, at))
        return due

    async def expired(self, at: datetime, limit: int) -> Sequence[Delivery]:
        ended = [
            (expires_at, row.delivery)
            for row in self._rows(Status.PENDING)
            if (expires_at := self._contents.events[row.delivery.event_id].expires_at) is not None and expires_at <= at
        ]
        return [delivery for _, delivery in sorted(ended, key=lambda one: one[0])[:limit]]

    async def renew(self, claims: Sequence[Claim], lease_seconds: float) -> None:
        for claim in claims:
            row = self._contents.rows[claim.delivery.id]
            if row.delivery.token == claim.delivery.token and row.delivery.status is Status.SENDING:
                row.lease_until = self._clock.monotonic() + lease_seconds

    async def _claim(self, wants: Sequence[ClaimRequest], lease_seconds: Mapping[str, float]) -> ClaimResult:
        claims: list[Claim] = []
        for want in wants:
            rows = [one for one in self._rows(Status.PENDING) if one.delivery.lane == want.lane]
            due = [row for row in rows if self._due_at(row) <= self._clock.now()]
            due.sort(key=lambda row: (row.lane_class is not want.first, row.lane_class, self._due_at(row)))
            for row in due[: want.limit]:
                row.lease_until = self._clock.monotonic() + lease_seconds[want.lane]
                claims.append(self._leased(row, attempt_count=row.delivery.attempt_count + 1, next_attempt_at=None))
        lanes = {want.lane for want in wants}
        return ClaimResult(tuple(claims), {lane: at for lane, at in (await self.due()).items() if lane in lanes})

    def _leased(self, row: Row, **changes: object) -> Claim:
        now = self._clock.now()
        update = {"status": Status.SENDING, "token": row.delivery.token + 1, "updated_at": now, **changes}
        row.delivery = row.delivery.model_copy(update=update)
        return Claim(row.delivery, self._contents.events[row.delivery.event_id], row.cause, now)

    async def _finish(self, results: Sequence[Result]) -> Sequence[WriteOutcome]:
        return [self._write(result) for result in results]

    def _write(self, result: Result) -> WriteOutcome:
        row, delivery = self._contents.rows.get(result.delivery.id), result.delivery
        if row is None or row.delivery.token != delivery.token:
            return WriteOutcome.FENCED
        cancelled = self._contents.events[delivery.event_id].cancelled_at is not None
        if delivery.status is Status.PENDING and cancelled:
            return WriteOutcome.EVENT_CANCELLED
        if any(self._is_stale(effect) for effect in result.effects):
            return WriteOutcome.STALE
        if delivery.status is Status.PENDING:
            wait = (delivery.next_attempt_at or delivery.updated_at) - delivery.updated_at
            row.due_at = self._clock.monotonic() + wait.total_seconds()
            row.appointed = None
        row.delivery = delivery.model_copy(update={"token": delivery.token + 1})
        row.cause = result.cause
        if result.attempt is not None:
            self._contents.attempts.setdefault(delivery.id, {})[result.attempt.number] = result.attempt
        if result.effects:
            self._contents.write([effect.record for effect in result.effects])
        self._contents.feed.extend([*result.feed, *(entry for effect in result.effects for entry in effect.feed)])
        return WriteOutcome.RECORDED

    def _is_stale(self, effect: Effect) -> bool:
        record = effect.record
        kept = self._contents.records.get((record.kind, record.tenant, record.id))
        return kept is None or kept.version != effect.version

    async def _reclaim(self, limit: int, *, all_owners: bool) -> Sequence[Claim]:
        now = self._clock.monotonic()
        lost = [row for row in self._rows(Status.SENDING) if all_owners or row.lease_until <= now]
        for row in lost[:limit]:
            row.lease_until = now + _RECLAIM_SECONDS
        return [self._leased(row) for row in lost[:limit]]

    def _rows(self, status: Status) -> Sequence[Row]:
        return [row for row in self._contents.rows.values() if row.delivery.status is status]

    def _due_at(self, row: Row) -> datetime:
        if row.appointed is not None:
            return row.appointed
        # In milliseconds, as every instant of a store.
        wait = round((row.due_at - self._clock.monotonic()) * 1000)
        return self._clock.now() + timedelta(milliseconds=wait)


class ModelArchive(Archive):
    """What cancelling and replaying read. Lists have no pages: they are as short as the simulation's events are few."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    async def event(self, tenant: str, event_id: str) -> Event | None:
        event = self._contents.events.get(event_id)
        return event if event is not None and event.tenant == tenant else None

    async def events(self, tenant: str, query: EventQuery, page: Page) -> Listing[Event]:
        return Listing(tuple(event for event in reversed(self._contents.events.values()) if event.tenant == tenant))

    async def delivery(self, tenant: str, delivery_id: str) -> Delivery | None:
        row = self._contents.rows.get(delivery_id)
        return row.delivery if row is not None and row.delivery.tenant == tenant else None

    async def deliveries(self, tenant: str, query: DeliveryQuery, page: Page) -> Listing[Delivery]:
        return Listing(tuple(one for one in self._of(tenant, query)))

    async def attempts(self, tenant: str, delivery_id: str) -> Sequence[Attempt]:
        return [attempt for _, attempt in sorted(self._contents.attempts.get(delivery_id, {}).items())]

    async def counts(self, tenant: str, query: DeliveryQuery) -> Mapping[str, Mapping[Status, int]]:
        counts: dict[str, dict[Status, int]] = {}
        for one in self._of(tenant, query):
            of_lane = counts.setdefault(one.subscription_id, {})
            of_lane[one.status] = of_lane.get(one.status, 0) + 1
        return counts

    async def stats(self, tenant: str, since: datetime, channel: str | None) -> Stats:
        raise NotImplementedError("no part that is simulated asks for statistics")

    def _of(self, tenant: str, query: DeliveryQuery) -> Sequence[Delivery]:
        all_ = [row.delivery for row in reversed(self._contents.rows.values()) if row.delivery.tenant == tenant]
        only = query.subscription_ids
        return [
            one
            for one in all_
            if query.event_id in (None, one.event_id) and (only is None or one.subscription_id in only)
        ]


class ModelRecords(Records):
    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    async def write(
        self, records: Sequence[Record], feed: Sequence[FeedEntry] = (), *, expected: int | None = None
    ) -> int:
        contents = self._contents
        if expected not in (None, contents.version):
            raise StaleCatalogue("The catalogue has changed.")
        contents.write(records)
        contents.feed.extend(feed)
        return contents.version

    async def changes(self, since: int) -> tuple[Sequence[Record], int]:
        found = [record for record in self._contents.records.values() if record.version > since]
        return [record for record in found if since or record.doc is not None], self._contents.version


class ModelChanges(EventChanges):
    def __init__(self, contents: Contents) -> None:
        self._contents = contents

    async def save(self, change: EventChange) -> None:
        self._contents.changes[change.id] = change

    async def unfinished(self, limit: int) -> Sequence[EventChange]:
        return list(self._contents.changes.values())[:limit]

    async def end(self, change: EventChange) -> None:
        self._contents.changes.pop(change.id, None)
