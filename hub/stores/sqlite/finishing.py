"""Writing the results of attempts in the SQLite store."""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from hub.models import FeedEntry, Status
from hub.stores.base import Result, WriteOutcome
from hub.stores.milliseconds import milliseconds, wait_ms
from hub.stores.sqlite.database.transaction import Transaction
from hub.stores.sqlite.effects import Effects
from hub.stores.sqlite.rows import ATTEMPT_COLUMNS, Cells
from hub.stores.stored import attempts

_STATES: Final = """
    SELECT json_array(deliveries.id, deliveries.seq, token, cancelled_at IS NOT NULL) AS row
    FROM json_each(?) AS wanted CROSS JOIN deliveries ON deliveries.id = wanted.value
    JOIN events ON events.seq = deliveries.event_seq
"""
_STATE_COLUMNS: Final = (
    "seq, status, reason, attempt_count, schedule_base, steps_spared, checkpoint, token, cause, due_at, updated_at"
)


def finish(transaction: Transaction, calls: Sequence[Sequence[Result]]) -> list[list[WriteOutcome]]:
    """The writer's handler of `Queue.finish`."""
    ids = [result.delivery.id for results in calls for result in results]
    states: Any = transaction.fetch(_STATES, (orjson.dumps(ids).decode(),))
    known = {id_: (seq, token, bool(cancelled)) for id_, seq, token, cancelled in states}
    finishing = _Finishing(transaction, known)
    outcomes = [[finishing.judge(result) for result in results] for results in calls]
    finishing.write()
    return outcomes


class _Finishing:
    """Decides on results one after the other, and collects what is to be written for all of them."""

    def __init__(self, transaction: Transaction, states: dict[str, tuple[int, int, bool]]) -> None:
        self._transaction = transaction
        self._effects = Effects(transaction)
        self._states = states
        """By delivery id: seq, token, whether the event is cancelled."""
        self._next: dict[int, Cells] = {}
        self._attempts: list[Cells] = []
        self._feed: list[FeedEntry] = []

    def judge(self, result: Result) -> WriteOutcome:
        delivery = result.delivery
        seq, token, cancelled = self._states.get(delivery.id, (0, -1, False))
        # Raised by each claim, takeover and write, also by an earlier result of this group.
        if token != delivery.token:
            return WriteOutcome.FENCED
        if delivery.status is Status.PENDING and cancelled:
            return WriteOutcome.EVENT_CANCELLED
        if result.effects and not self._effects.apply(result.effects):
            return WriteOutcome.STALE
        self._states[delivery.id] = (seq, token + 1, cancelled)
        self._next[seq] = _state_row(seq, token + 1, result, self._transaction.now)
        if result.attempt:
            place = seq, result.attempt.number, delivery.tenant, delivery.channel
            self._attempts.append((*place, *attempts.values(result.attempt)))
        self._feed += result.feed
        for effect in result.effects:
            self._feed += effect.feed
        return WriteOutcome.RECORDED

    def write(self) -> None:
        self._transaction.change_each(
            "UPDATE OR FAIL deliveries SET status = new.status, reason = new.reason, attempt_count = new.attempt_count,"
            " schedule_base = new.schedule_base, steps_spared = new.steps_spared, checkpoint = new.checkpoint,"
            " token = new.token, cause = new.cause, due_at = new.due_at, appointed = 0, lease_until = NULL,"
            " updated_at = new.updated_at FROM new WHERE deliveries.seq = new.seq",
            _STATE_COLUMNS,
            list(self._next.values()),
        )
        self._transaction.insert("attempts", ATTEMPT_COLUMNS, self._attempts, replace=True)
        self._effects.write()
        self._transaction.append(self._feed)


def _state_row(seq: int, token: int, result: Result, now: int) -> Cells:
    """The delivery's next state as `_STATE_COLUMNS`."""
    delivery = result.delivery
    wait = wait_ms(delivery)
    return (
        seq,
        delivery.status,
        delivery.reason,
        delivery.attempt_count,
        delivery.schedule_base,
        delivery.steps_spared,
        delivery.checkpoint,
        token,
        result.cause,
        None if wait is None else now + wait,
        milliseconds(delivery.updated_at),
    )
