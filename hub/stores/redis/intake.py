"""Accepting events in the Redis store."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Any, Final

from hub.errors import HubError, StaleCatalogue
from hub.stores.base import (
    AcceptResult,
    Batch,
    BatchEntry,
    FanOut,
    Idempotency,
    Intake,
    ItemResult,
    Match,
    NewDelivery,
)
from hub.stores.change_documents import cancellation, encode_change
from hub.stores.milliseconds import milliseconds, milliseconds_or_none, not_before_or_none
from hub.stores.options import StoreOptions
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.group_commit import GroupCommit
from hub.stores.redis.keyspace.codec import (
    as_str_bytes,
    document_digest,
    event_from,
    match_from,
    pack,
    packed_entry,
    packed_event,
)
from hub.stores.redis.keyspace.idempotency import digest, given, remembered, with_duplicates
from hub.stores.redis.keyspace.index_scan import id_of
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script
from hub.stores.redis.safety.loss_detection import LossDetection
from hub.stores.unreadable import READ_ERRORS

_ACCEPT: Final = script("accept")
_EXPAND: Final = script("expand")
_CANCEL: Final = script("cancel")
_RECALL: Final = script("recall")


Expansion = tuple[FanOut, Sequence[NewDelivery], str | None]
Cancellation = tuple[str, str, datetime]


def _entry_row(entry: BatchEntry, match: str | None) -> tuple[Any, ...]:
    """An entry as `lua/accept.lua` takes it, with the name of the match that it fans out to."""
    event = entry.event
    document = packed_event(event)
    return (
        entry.index,
        event.id,
        as_str_bytes(document),
        as_str_bytes(document_digest(document)),
        event.type,
        event.subject,
        event.source,
        event.source_id,
        milliseconds(event.accepted_at),
        not_before_or_none(event.deliver_at),
        as_str_bytes(packed_entry(entry.feed)),
        match,
        _delivery_rows(entry.deliveries),
        milliseconds_or_none(event.expires_at),
    )


def _batch_row(batch: Batch, verdicts: Sequence[ItemResult]) -> tuple[Any, ...]:
    """A batch as `lua/accept.lua` takes it."""
    # The id of the first event that it is of is a name that no other match ever gets.
    names: dict[Match, str] = {}
    rows = []
    for entry in batch.entries:
        match = None if entry.fan_out is None else names.setdefault(entry.fan_out, entry.event.id)
        rows.append(_entry_row(entry, match))
    return (
        batch.tenant,
        batch.catalogue_version,
        given(batch.idempotency, verdicts) if batch.idempotency else None,
        rows,
        {name: as_str_bytes(pack(match.recipients)) for match, name in names.items()},
    )


def _delivery_rows(deliveries: Sequence[NewDelivery]) -> list[tuple[str, str, str]]:
    return [(new.id, new.subscription_id, new.channel) for new in deliveries]


def _verdicts(batch: Batch) -> list[ItemResult]:
    """The results of a batch if none of its events is a duplicate."""
    accepted = [ItemResult(entry.index, "accepted", entry.event.id) for entry in batch.entries]
    return sorted([*accepted, *batch.rejected], key=lambda verdict: verdict.index)


class _Outcome(IntEnum):
    """What `lua/accept.lua` says of a batch."""

    ACCEPTED = 0
    REPLAYED = 1
    STALE = 2
    TAKEN = 3


def _answer(batch: Batch, verdicts: Sequence[ItemResult], outcome: Sequence[Any]) -> AcceptResult | HubError:
    match outcome[0]:
        case _Outcome.ACCEPTED:
            return AcceptResult(with_duplicates(verdicts, outcome[1]))
        case _Outcome.REPLAYED if batch.idempotency is not None:
            try:
                return remembered(outcome[1], batch.idempotency)
            except HubError as error:
                return error
        case _Outcome.STALE:
            return StaleCatalogue("The catalogue has changed meanwhile; try again.", retry_after=0.0)
    return HubError("An event with this id exists.")


class RedisIntake(Intake):
    def __init__(self, engine: Engine, losses: LossDetection, process: str, options: StoreOptions) -> None:
        """`process` is the name of this process among those that have the store open."""
        self._engine = engine
        self._keys = KeyNames(engine.prefix)
        self._losses = losses
        self._process = process
        self._options = options
        self._accepting = GroupCommit("accept", self._accept, options.failpoint)
        self._expanding = GroupCommit("expand", self._expand, options.failpoint)
        self._cancelling = GroupCommit("cancel", self._cancel, options.failpoint)

    async def accept(self, batch: Batch) -> AcceptResult:
        rows = sum(1 + len(entry.deliveries) for entry in batch.entries)
        return await self._accepting.submit(batch, rows=max(rows, 1))

    async def recall(self, tenant: str, idempotency: Idempotency) -> AcceptResult | None:
        record = await self._engine.run(_RECALL, tenant, digest(idempotency.key), repeat=True)
        return None if record is None else remembered(record, idempotency)

    async def fan_outs(self, limit: int, after: str = "") -> Sequence[FanOut]:
        tenants = sorted(tenant.decode() for tenant in await self._engine.ask("SMEMBERS", self._keys.fanning))
        place = bisect_right(tenants, after)
        for tenant in (*tenants[place:], *tenants[:place]):
            if found := await self._fan_outs_of(tenant, limit):
                return found
        return []

    async def match(self, name: str) -> Match | None:
        packed = await self._engine.ask("HGET", self._keys.match(name), "to")
        return None if packed is None else match_from(packed)

    async def _fan_outs_of(self, tenant: str, limit: int) -> list[FanOut]:
        found: list[FanOut] = []
        after = "-"
        # An event that was lost stays in the index and hides none behind it.
        while len(found) < limit:
            bounds = (after, "+", "LIMIT", 0, limit)
            members = await self._engine.ask("ZRANGEBYLEX", self._keys.fan_outs(tenant), *bounds)
            found += await self._fan_outs([id_of(member) for member in members])
            if len(members) < limit:
                break
            after = f"({members[-1].decode()}"
        return found[:limit]

    async def _fan_outs(self, ids: Sequence[str]) -> list[FanOut]:
        """Those of these events that can be read."""
        replies = await self._engine.ask_all(
            [
                command
                for id_ in ids
                for command in (
                    ("GET", self._keys.event(id_)),
                    ("HMGET", self._keys.state(id_), "fan", "cancelled", "match"),
                )
            ]
        )
        found = []
        for id_, document, (fan, cancelled, match) in zip(ids, replies[::2], replies[1::2], strict=True):
            if document is None or fan is None:
                continue
            try:
                name = None if match is None else match.decode()
                found.append(FanOut(event_from(document, cancelled), fan.decode(), name))
            except READ_ERRORS as error:
                self._engine.unreadable.note("event", id_, error)
        return found

    async def expand(self, fan_out: FanOut, deliveries: Sequence[NewDelivery], after: str | None) -> bool:
        return await self._expanding.submit((fan_out, deliveries, after), rows=max(len(deliveries), 1), vital=True)

    async def cancel(self, tenant: str, event_id: str, at: datetime) -> bool:
        return await self._cancelling.submit((tenant, event_id, at))

    async def close(self) -> None:
        """Return when everything that was submitted is written or refused."""
        for calls in (self._accepting, self._expanding, self._cancelling):
            await calls.close()

    async def _accept(self, number: int, batches: Sequence[Batch]) -> Sequence[AcceptResult | HubError]:
        verdicts = [_verdicts(batch) for batch in batches]
        rows = [_batch_row(batch, answer) for batch, answer in zip(batches, verdicts, strict=True)]
        # Only accepting waits for replicas, because its answer is the promise. What a failover loses of the other calls
        # is done again: at worst a delivery is sent twice.
        epoch, gone, last, outcomes = await self._engine.run(
            _ACCEPT,
            self._process,
            number,
            *self._losses.arguments(),
            pack(rows),
            repeat=True,
            replicas=self._options.wait_replicas,
            wait=self._options.wait_seconds,
        )
        self._losses.note(epoch, gone, last)
        return [_answer(*one) for one in zip(batches, verdicts, outcomes, strict=True)]

    async def _expand(self, number: int, expansions: Sequence[Expansion]) -> Sequence[bool]:
        rows = [
            (
                fan_out.event.tenant,
                fan_out.event.id,
                fan_out.event.type,
                fan_out.after,
                after,
                not_before_or_none(fan_out.event.deliver_at),
                _delivery_rows(deliveries),
                milliseconds_or_none(fan_out.event.expires_at),
            )
            for fan_out, deliveries, after in expansions
        ]
        outcomes = await self._engine.run(_EXPAND, self._process, number, pack(rows), repeat=True)
        return [outcome == 1 for outcome in outcomes]

    async def _cancel(self, number: int, cancellations: Sequence[Cancellation]) -> Sequence[bool]:
        rows = [
            (tenant, event_id, milliseconds(at), as_str_bytes(encode_change(cancellation(tenant, event_id, at))))
            for tenant, event_id, at in cancellations
        ]
        outcomes = await self._engine.run(_CANCEL, self._process, number, pack(rows), repeat=True)
        return [outcome == 1 for outcome in outcomes]
