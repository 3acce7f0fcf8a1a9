"""Faults that the hub, or a store, must not have; each is put back while the simulation looks for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import pytest

from channels.base import Receipt
from hub.dispatch.dispatcher import Dispatcher
from hub.dispatch.lanes import Lanes
from hub.publishing.fanout import FanOutExpander
from hub.stores.base import AcceptResult, Batch, Claim, FanOut, Result, WriteOutcome
from hub.stores.gate import LaneState
from tests.simulation.model import ModelIntake, ModelQueue
from tests.simulation.targets import SimulatedChannel

Mutant = Callable[[pytest.MonkeyPatch], None]


def room_leaks(patch: pytest.MonkeyPatch) -> None:
    """An error between a claim and its attempts does not give the room back."""
    patch.setattr(Lanes, "unanswered", lambda lanes, requests: None)


def fan_out_matches_late(patch: pytest.MonkeyPatch) -> None:
    """A fan-out is for whom it matches when it is made, not for whom it matched at acceptance."""

    async def remaining(expander: Any, fan_out: FanOut) -> Sequence[tuple[str, str]]:
        found: Sequence[tuple[str, str]] = await expander._match_now(fan_out.event)
        return [one for one in found if one[0] > fan_out.after]

    patch.setattr(FanOutExpander, "_remaining", remaining)


def cancelled_event_fans_out(patch: pytest.MonkeyPatch) -> None:
    """Cancelling an event leaves its fan-out cursor."""

    async def cancel(intake: Any, tenant: str, event_id: str, at: datetime) -> bool:
        cursor = intake._contents.cursors.get(event_id)
        done: bool = await original(intake, tenant, event_id, at)
        if cursor is not None:
            intake._contents.cursors[event_id] = cursor
        return done

    original = ModelIntake.cancel
    patch.setattr(ModelIntake, "cancel", cancel)


def stale_catalogue_is_accepted(patch: pytest.MonkeyPatch) -> None:
    """An event is accepted although its recipients were found in a catalogue that has changed since."""

    async def accept(intake: Any, batch: Batch) -> AcceptResult:
        return await original(intake, replace(batch, catalogue_version=intake._contents.version))

    original = ModelIntake.accept
    patch.setattr(ModelIntake, "accept", accept)


def results_are_not_fenced(patch: pytest.MonkeyPatch) -> None:
    """A result is written although another process has the delivery by now."""

    def write(queue: Any, result: Result) -> WriteOutcome:
        row = queue._contents.rows[result.delivery.id]
        current = result.delivery.model_copy(update={"token": row.delivery.token})
        return original(queue, replace(result, delivery=current))

    original = ModelQueue._write
    patch.setattr(ModelQueue, "_write", write)


def leases_go_by_the_time_of_day(patch: pytest.MonkeyPatch) -> None:
    """A step of the time of day lengthens leases."""

    async def reclaim(queue: Any, limit: int, *, all_owners: bool) -> Sequence[Claim]:
        behind = -queue._clock.stepped_seconds
        for row in queue._contents.rows.values():
            row.lease_until += behind
        try:
            return await original(queue, limit, all_owners=all_owners)
        finally:
            for row in queue._contents.rows.values():
                row.lease_until -= behind

    original = ModelQueue._reclaim
    patch.setattr(ModelQueue, "_reclaim", reclaim)


def dead_processes_keep_their_claims(patch: pytest.MonkeyPatch) -> None:
    """Nobody takes over what a dead process had claimed."""

    async def take_over(dispatcher: Any, all_owners: bool) -> int:
        return 0

    patch.setattr(Dispatcher, "_take_over", take_over)


def silence_counts_as_delivered(patch: pytest.MonkeyPatch) -> None:
    """A target that does not answer in time is believed to have taken the message."""

    async def send(channel: Any, message: Any, target: Any) -> Receipt:
        sending = original(channel, message, target)
        try:
            return await sending
        except BaseException:  # noqa: BLE001 - the fault
            return Receipt(200)

    original = SimulatedChannel.send
    patch.setattr(SimulatedChannel, "send", send)


def gate_is_open(patch: pytest.MonkeyPatch) -> None:
    """The store does not count what is under way in a lane."""

    def take(state: LaneState, limit: int, now: float) -> int:
        state.reserved += limit
        return limit

    patch.setattr(LaneState, "take", take)


def sweeps_do_not_look_for_work(patch: pytest.MonkeyPatch) -> None:
    """What is due is announced only once: a sweep does not look for it."""

    async def due(queue: Any) -> Mapping[str, datetime]:
        return {}

    patch.setattr(ModelQueue, "due", due)


MUTANTS: Final[Sequence[Mutant]] = (
    room_leaks,
    fan_out_matches_late,
    cancelled_event_fans_out,
    stale_catalogue_is_accepted,
    results_are_not_fenced,
    leases_go_by_the_time_of_day,
    dead_processes_keep_their_claims,
    silence_counts_as_delivered,
    gate_is_open,
    sweeps_do_not_look_for_work,
)
