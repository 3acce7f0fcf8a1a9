"""What must hold at every moment of a simulation, whatever the interleaving."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import orjson

from hub.models import Delivery, Record, Status
from hub.stores.base import Batch, Claim, Result, WriteOutcome
from tests.simulation.calls import Call
from tests.simulation.targets import Targets

ENDED: Final = frozenset({Status.DELIVERED, Status.DEAD, Status.CANCELLED})
UNCLAIMED_SECONDS: Final = 120.0
"""How long a delivery may be `sending` in the store while nobody has it: a lease, a takeover's lease, two sweeps, and
what is held meanwhile."""
PATIENT_SECONDS: Final = 60.0
"""How long what is due for the steady target may wait while others hang: attempts of others end after 10 seconds."""


class Broken(Exception):
    """An invariant does not hold."""


@dataclass
class Oracle:
    """Keeps beside the store what it must hold. Instants are monotonic seconds."""

    targets: Targets
    cap: int
    """How many attempts each subscription allows at once."""
    patterns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Event types of each subscription that exists, by id."""
    disabled: set[str] = field(default_factory=set)
    expected: dict[str, frozenset[str]] = field(default_factory=dict)
    """Whom each accepted event is for: who matched at that moment."""
    cancelled: set[str] = field(default_factory=set)
    by_source_id: dict[str, str] = field(default_factory=dict)
    known: dict[str, Delivery] = field(default_factory=dict)
    replayed: set[str] = field(default_factory=set)
    """Ended deliveries that somebody sent again."""
    unclaimed_since: dict[str, float] = field(default_factory=dict)
    due_since: dict[str, float] = field(default_factory=dict)
    steady: str | None = None
    """The subscription whose target always answers at once."""

    # -- what calls did ----------------------------------------------------------------------------------------------

    def note(self, call: Call, result: Any) -> None:
        """A call to the store ran and gave this."""
        match call.name:
            case "records.write":
                for record in call.args[0]:
                    self._note_record(record)
            case "intake.accept":
                self._note_accepted(call.args[0], result)
            case "intake.cancel" if result:
                self.cancelled.add(call.args[1])
            case "queue.finish":
                self._note_finished(call.args[0], result)

    def _note_record(self, record: Record) -> None:
        if record.kind != "subscription":
            return
        self.patterns.pop(record.id, None)
        self.disabled.discard(record.id)
        if record.doc is not None:
            document = orjson.loads(record.doc)
            spec = document.get("spec", document)
            self.patterns[record.id] = tuple(spec["event_types"])
            if not spec["enabled"]:
                self.disabled.add(record.id)

    def _note_accepted(self, batch: Batch, result: Any) -> None:
        accepted = {verdict.id for verdict in result.verdicts if verdict.status == "accepted"}
        for entry in batch.entries:
            event = entry.event
            if event.id in accepted and event.id not in self.expected:
                matched = (id_ for id_, patterns in self.patterns.items() if _matches(event.type, patterns))
                self.expected[event.id] = frozenset(matched)
                if event.source_id in self.by_source_id:
                    raise Broken(f"{event.source_id} was accepted twice")
                if event.source_id is not None:
                    self.by_source_id[event.source_id] = event.id

    def _note_finished(self, results: Sequence[Result], outcomes: Sequence[WriteOutcome]) -> None:
        for result, outcome in zip(results, outcomes, strict=True):
            before = self.known.get(result.delivery.id)
            if outcome is WriteOutcome.RECORDED:
                for effect in result.effects:
                    self._note_record(effect.record)
            if outcome is WriteOutcome.RECORDED and before is not None and before.status in ENDED:
                if result.delivery.status is not Status.PENDING:
                    raise Broken(f"{result.delivery.id} ended twice: {before.status}, {result.delivery.status}")
                self.replayed.add(result.delivery.id)
                # What was taken before says nothing of the new schedule.
                self.targets.taken.discard(result.delivery.id)

    # -- what must hold ----------------------------------------------------------------------------------------------

    def look(
        self,
        deliveries: Mapping[str, Delivery],
        claimed: Collection[str],
        now: float,
        at: datetime,
        *,
        calm: bool,
    ) -> None:
        """Compare all deliveries of the store with what is known, at the time of day `at`. `claimed` are those that
        live processes work on, or are about to hear of; `calm` says that nothing keeps the processes from their
        work."""
        if lost := self.known.keys() - deliveries.keys():
            raise Broken(f"deliveries are gone: {sorted(lost)}")
        pairs = Counter((one.event_id, one.subscription_id) for one in deliveries.values())
        if twice := [pair for pair, number in pairs.items() if number > 1]:
            raise Broken(f"more than one delivery for {twice}")
        for one in deliveries.values():
            self._look_at(one, self.known.get(one.id))
        sending = Counter(one.subscription_id for one in deliveries.values() if one.status is Status.SENDING)
        # Those of a deleted subscription are claimed to be cancelled, and not sent.
        if over := {lane: number for lane, number in sending.items() if number > self.cap and lane in self.patterns}:
            raise Broken(f"more under way than the {self.cap} allowed: {over}")
        self.known = dict(deliveries)
        self._look_for_unclaimed(claimed, now, calm=calm)
        self._look_for_waiting(now, at, calm=calm)

    def _look_at(self, one: Delivery, before: Delivery | None) -> None:
        if one.subscription_id not in self.expected.get(one.event_id, ()):
            raise Broken(f"{one.id} is for {one.subscription_id}, which did not match at acceptance")
        if before is None and one.event_id in self.cancelled:
            raise Broken(f"{one.id} was made of {one.event_id}, which is cancelled")
        changed = before is not None and before.status in ENDED and one.status is not before.status
        if before is not None and changed and one.id not in self.replayed:
            raise Broken(f"{one.id} had ended as {before.status} and is {one.status}")
        if one.status is Status.DELIVERED and one.id not in self.targets.taken:
            raise Broken(f"{one.id} is delivered, and its target never took it")

    def _look_for_unclaimed(self, claimed: Collection[str], now: float, *, calm: bool) -> None:
        lost = {one.id for one in self.known.values() if one.status is Status.SENDING} - set(claimed)
        self.unclaimed_since = {id_: self.unclaimed_since.get(id_, now) if calm else now for id_ in lost}
        for id_, since in self.unclaimed_since.items():
            if now - since > UNCLAIMED_SECONDS:
                raise Broken(f"{id_} is claimed by nobody for {now - since:.0f} s")

    def _look_for_waiting(self, now: float, at: datetime, *, calm: bool) -> None:
        waiting = {
            one.id
            for one in self.known.values()
            if one.subscription_id == self.steady
            and one.status is Status.PENDING
            and (one.next_attempt_at is None or one.next_attempt_at <= at)
        }
        self.due_since = {id_: self.due_since.get(id_, now) if calm else now for id_ in waiting}
        for id_, since in self.due_since.items():
            if now - since > PATIENT_SECONDS:
                raise Broken(f"{id_} of the steady target waits for {now - since:.0f} s")

    # -- at the end --------------------------------------------------------------------------------------------------

    def unfinished(self) -> list[str]:
        """What has no fate yet, of that which must have one: sentences."""
        made = {(one.event_id, one.subscription_id) for one in self.known.values()}
        open_ = [
            f"{one.id} of {one.subscription_id} is {one.status}"
            for one in self.known.values()
            if one.status not in ENDED and one.subscription_id not in self.disabled
        ]
        missing = [
            f"{event_id} has no delivery for {subscription_id}"
            for event_id, subscription_ids in self.expected.items()
            if event_id not in self.cancelled
            for subscription_id in subscription_ids
            if (event_id, subscription_id) not in made
        ]
        return [*open_, *missing]


def claims_in(result: Any) -> Sequence[Claim]:
    """The claims that an answer of the store brings."""
    return getattr(result, "claims", result if isinstance(result, list | tuple) else ())


def _matches(event_type: str, patterns: Sequence[str]) -> bool:
    return any(
        pattern in ("*", event_type) or (pattern.endswith(".*") and event_type.startswith(pattern[:-1]))
        for pattern in patterns
    )
