"""Whatever happens, the indexes say what the hashes say, and of what is purged nothing stays."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
import pytest

from hub.ids import new_id
from hub.models import Cause, Outcome, Status, TaskStatus
from hub.stores import open_store
from hub.stores.base import Claim, DeliveryQuery, EventQuery, NewDelivery, Page, Result, Store
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.testing.clock import ManualClock
from hub.testing.stores.samples import OTHER, TENANT, batch, claim, entry, event, idempotency, match, result, task
from schedules.drain import drain
from tests.redis_servers import RedisServer, new_prefix

LANES = ("sub_1", "sub_2", "sub_3")
OPEN = {"pending", "sending"}
INDEXES = {"o", "events", "subject", "closed", "fan-outs", "status", "lane", "dead", "attempts"}


class Life:
    """Things that happen to a store, one after the other by chance."""

    def __init__(self, store: Store, clock: ManualClock, random: Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random
        self._claims: list[Claim] = []
        self._happenings: list[Callable[[], Coroutine[Any, Any, None]]] = [
            *[self._publish] * 4,
            *[self._claim] * 3,
            *[self._finish] * 6,
            self._expand,
            self._replay,
            self._cancel_event,
            self._save_task,
            self._cancel_delivery,
            self._reclaim,
            self._purge,
            self._wait,
        ]

    async def happen(self) -> None:
        await self._random.choice(self._happenings)()

    async def settle(self) -> None:
        """Bring everything to its end, and let it grow old."""
        while fan_outs := await self._store.intake.fan_outs(100):
            for fan_out in fan_outs:
                await self._store.intake.expand(fan_out, (), None)
        for unfinished in await self._store.tasks.unfinished(1_000):
            ended = unfinished.model_copy(update={"status": TaskStatus.FAILED, "updated_at": self._clock.now()})
            await self._store.tasks.save(ended)
        for change in await self._store.changes.unfinished(1_000):
            await self._store.changes.end(change)
        self._clock.advance(8 * 86_400)
        while claims := [*await self._store.queue.reclaim(500), *await claim(self._store, *LANES, limit=500)]:
            await self._store.queue.finish([result(one, Status.DELIVERED) for one in claims])

    async def _publish(self) -> None:
        choose = self._random.choice
        at, tenant = self._clock.now(), choose((TENANT, OTHER))
        new = event(
            tenant=tenant,
            accepted_at=at,
            subject=choose((None, "orders/1", "orders/2")),
            source_id=choose((None, f"id-{self._random.randrange(50)}")),
            deliver_at=choose((None, at + timedelta(seconds=5))),
        )
        lanes = self._random.sample(LANES, self._random.randrange(len(LANES) + 1))
        fan_out = self._random.random() < 0.2
        whom = match(*LANES) if fan_out else None
        accepted = entry(new, () if fan_out else lanes, channel=choose(("webhook", "slack")), fan_out=whom)
        key = choose((None, idempotency(new.id, seconds=60)))
        await self._store.intake.accept(batch(accepted, tenant=tenant, idempotency=key))

    async def _claim(self) -> None:
        self._claims += await claim(self._store, *LANES, limit=self._random.randrange(1, 5))

    async def _finish(self) -> None:
        if self._claims:
            await self._store.queue.finish([self._outcome(self._claims.pop(0))])

    def _outcome(self, claimed: Claim) -> Result:
        status = self._random.choice((Status.DELIVERED, Status.DEAD, Status.PENDING, Status.CANCELLED))
        outcome = Outcome.SUCCEEDED if status is Status.DELIVERED else self._random.choice((*Outcome,))
        due = self._clock.now() + timedelta(seconds=self._random.randrange(20))
        changes: dict[str, Any] = {"next_attempt_at": due, "updated_at": self._clock.now()}
        if outcome is Outcome.UNKNOWN:
            # The next attempt has the same number, so that this one is replaced.
            changes["attempt_count"] = claimed.delivery.attempt_count - self._random.randrange(2)
        finished = result(claimed, status, outcome, **changes)
        assert finished.attempt is not None
        body = self._random.choice((None, "ok", "x" * 500))
        duration = self._random.choice((None, 7, 30_000))
        kept = finished.attempt.model_copy(
            update={"number": claimed.delivery.attempt_count, "response_body": body, "duration_ms": duration}
        )
        return dataclasses.replace(finished, attempt=kept)

    async def _expand(self) -> None:
        for fan_out in await self._store.intake.fan_outs(1):
            fresh = [lane for lane in LANES if lane > fan_out.after]
            after = self._random.choice((None, fresh[0])) if fresh else None
            created = [NewDelivery(new_id("dlv"), lane, "webhook") for lane in fresh if after is None or lane <= after]
            await self._store.intake.expand(fan_out, created, after)

    async def _replay(self) -> None:
        dead = (await self._store.archive.deliveries(TENANT, DeliveryQuery(status=Status.DEAD), Page(1))).items
        for delivery in dead:
            changes = {"status": Status.PENDING, "next_attempt_at": self._clock.now(), "updated_at": self._clock.now()}
            await self._store.queue.finish([Result(delivery.model_copy(update=changes), cause=Cause.REPLAY)])

    async def _cancel_event(self) -> None:
        for one in (await self._store.archive.events(TENANT, EventQuery(), Page(1))).items:
            await self._store.intake.cancel(TENANT, one.id, self._clock.now())

    async def _cancel_delivery(self) -> None:
        waiting = DeliveryQuery(status=Status.PENDING)
        for delivery in (await self._store.archive.deliveries(OTHER, waiting, Page(1))).items:
            changes = {"status": Status.CANCELLED, "updated_at": self._clock.now()}
            await self._store.queue.finish([Result(delivery.model_copy(update=changes))])

    async def _save_task(self) -> None:
        now, status = self._clock.now(), self._random.choice((*TaskStatus,))
        await self._store.tasks.save(task(status=status, created_at=now, updated_at=now))

    async def _reclaim(self) -> None:
        self._claims += await self._store.queue.reclaim(3)

    async def _purge(self) -> None:
        await self._store.upkeep.purge(self._clock.now() - timedelta(seconds=60), 3)

    async def _wait(self) -> None:
        self._clock.advance(self._random.choice((0.001, 1, 20, 40)))


class Kept:
    """Everything that a server keeps of a hub."""

    def __init__(self, server: RedisServer, prefix: str) -> None:
        self._prefix = f"{{{prefix}}}:"
        with server.client() as client:
            names = [key.decode() for key in client.scan_iter(f"{self._prefix}*", count=1_000)]
            types = {name: client.type(name) for name in names}
            self.names = {name.removeprefix(self._prefix) for name in names}
            self.hashes = {self._short(n): _texts(client.hgetall(n)) for n in names if types[n] == b"hash"}
            self.indexes = {
                self._short(n): set(client.zrange(n, 0, -1))
                for n in names
                if types[n] == b"zset" and self._short(n).partition(":")[0] in INDEXES
            }
            self.sets = {self._short(n): client.smembers(n) for n in names if types[n] == b"set"}
            self.documents = {n: msgspec.msgpack.decode(client.get(n)) for n in names if self._short(n)[:2] == "e:"}

    def _short(self, name: str) -> str:
        return name.removeprefix(self._prefix)

    def of(self, kind: str) -> dict[str, dict[str, bytes]]:
        """The hashes of a kind, by id."""
        return {name[2:]: fields for name, fields in self.hashes.items() if name.startswith(f"{kind}:")}


def _texts(fields: dict[bytes, bytes]) -> dict[str, bytes]:
    return {name.decode(): value for name, value in fields.items()}


def expected_indexes(kept: Kept) -> dict[str, set[bytes]]:
    """What the indexes must hold, by what the hashes and documents say."""
    indexes: dict[str, set[bytes]] = defaultdict(set)
    deliveries, states, long_attempts = kept.of("d"), kept.of("s"), kept.of("a")
    open_ones: dict[str, int] = defaultdict(int)
    for id_, delivery in deliveries.items():
        tenant, lane, channel, status = (delivery[name].decode() for name in ("ten", "sub", "chan", "st"))
        entry = b"%013d%s" % (int(delivery["at"]), id_.encode())
        open_ones[delivery["evt"].decode()] += status in OPEN
        indexes[f"o:{delivery['evt'].decode()}"].add(entry)
        indexes[f"status:{tenant}:{channel}:{status}"].add(entry)
        indexes[f"lane:{tenant}:{lane}:{status}"].add(entry)
        if status == "dead":
            indexes[f"dead:{tenant}:{channel}"].add(b"%013d%s" % (int(delivery["upd"]), id_.encode()))
        short = {name: packed for name, packed in delivery.items() if name.isdigit()}
        assert not short.keys() & long_attempts.get(id_, {}).keys(), "an attempt is kept in one place"
        for number, packed in {**short, **long_attempts.get(id_, {})}.items():
            _, started_at, duration, outcome, *_ = msgspec.msgpack.decode(packed)
            ending = f"{id_}:{number}:{'' if duration is None else duration}"
            indexes[f"attempts:{tenant}:{channel}:{outcome}"].add(f"{started_at:013}{ending}".encode())
    for name, document in kept.documents.items():
        id_ = name.rpartition(":")[2]
        state, entry = states[id_], f"{document[5]:013}{id_}".encode()
        assert int(state["open"]) == open_ones[id_]
        indexes[f"events:{document[0]}"].add(entry)
        if document[2] is not None:
            indexes[KeyNames("").subject(document[0], document[2])[1:]].add(entry)
        if "fan" in state:
            indexes[f"fan-outs:{document[0]}"].add(entry)
        elif not open_ones[id_]:
            indexes["closed"].add(b"%013d%s" % (int(state.get("ended", document[5])), id_.encode()))
    return indexes


@pytest.mark.parametrize("seed", range(5))
async def test_indexes_hold_what_the_hashes_say_and_of_what_is_purged_nothing_stays(
    valkey: RedisServer, seed: int
) -> None:
    prefix, clock = new_prefix(), ManualClock()
    async with open_store(valkey.url(prefix), clock) as store:
        life = Life(store, clock, Random(seed))
        for _ in range(12):
            for _ in range(10):
                await life.happen()
            kept = Kept(valkey, prefix)
            assert kept.indexes == expected_indexes(kept)
            assert {name[2:]: int(match["n"]) for name, match in kept.hashes.items() if name[:2] == "m:"} == Counter(
                state["match"].decode() for state in kept.of("s").values() if "match" in state
            )
            assert set(kept.of("s")) == {name.rpartition(":")[2] for name in kept.documents}
            fanning = {name.partition(":")[2].encode() for name in kept.indexes if name.startswith("fan-outs:")}
            assert kept.sets.get("fanning", set()) == fanning
            for tenant in (TENANT, OTHER):
                of_tenant = [d for d in kept.of("d").values() if d["ten"].decode() == tenant]
                assert kept.sets.get(f"channels:{tenant}", set()) == {d["chan"] for d in of_tenant}
                assert kept.sets.get(f"lanes:{tenant}", set()) == {d["sub"] for d in of_tenant}
        await life.settle()
        later = clock.now() + timedelta(days=1)
        await drain(lambda limit: store.upkeep.purge(later, limit), clock.sleep, pause_seconds=0)
        await drain(store.upkeep.purge_expired, clock.sleep, pause_seconds=0)
        await drain(lambda limit: store.upkeep.trim_feed(later, 0, limit), clock.sleep, pause_seconds=0)
        left = {name.partition(":")[0] for name in Kept(valkey, prefix).names}
        assert left <= {"clock", "meta", "signals", "feed", "feed-blocks", "call", "gate", "lanes"}, left
