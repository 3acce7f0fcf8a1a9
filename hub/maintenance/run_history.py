"""How each schedule last ran, in any process, and whether its next run is for this process."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from pydantic import TypeAdapter, ValidationError

from hub.cluster.leadership import Leadership
from hub.errors import Unavailable
from hub.stores.base import Schedules
from schedules.timetable import CannotRunNow, RecordRun, Run

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run as the store keeps it, with the fencing token under which it was recorded."""

    run: Run
    token: int


CountRun = Callable[[str, str, float], None]
"""Takes a schedule's name, the outcome of a run, and when it ended, in seconds since 1970."""
_RECORDED = TypeAdapter(RecordedRun)


def _ignore(schedule: str, outcome: str, ended_at: float) -> None:
    """Counts nothing."""


class RunHistory:
    """The `History` of the timetable. The jobs in `led` run on schedule only while this process leads.

    Example:

        history = RunHistory(store.schedules, leadership, {"retention"})
        record = await history.begin_run("retention", scheduled=True)
    """

    def __init__(
        self, schedules: Schedules, leadership: Leadership, led: Collection[str], count: CountRun = _ignore
    ) -> None:
        self._schedules = schedules
        self._leadership = leadership
        self._led = frozenset(led)
        self._count = count

    async def last_runs(self) -> Mapping[str, Run]:
        """By name. Raises `Unavailable`."""
        return {name: recorded.run for name, recorded in (await self._recorded()).items()}

    async def begin_run(self, name: str, *, scheduled: bool) -> RecordRun | None:
        """What records this run at its end; None when another process is to run it.

        Raises `CannotRunNow` when the store cannot say which process leads.
        """
        if name not in self._led:
            # Every process runs these jobs, so there is no leader whose record another one could overwrite.
            return partial(self._record, name, 0)
        try:
            if scheduled:
                token = await self._leadership.confirm()
            else:
                # A run that a person asked for needs no leadership. With the token of the run before it replaces that
                # one, and gives way to a leader who came later.
                recorded = (await self._recorded()).get(name)
                token = recorded.token if recorded else 0
        except Unavailable as error:
            raise CannotRunNow(error.detail) from error
        return None if token is None else partial(self._record, name, token)

    async def _recorded(self) -> dict[str, RecordedRun]:
        found = {}
        for name, run in (await self._schedules.runs()).items():
            try:
                found[name] = _RECORDED.validate_json(run)
            except ValidationError:
                # As if it had never run: it is then due soon, and its next record can be read again.
                _log.warning("schedule.record_unreadable", schedule=name)
        return found

    async def _record(self, name: str, token: int, run: Run) -> None:
        """Keep a run if the store takes it. If not, the run has ended all the same, so the failure is only logged."""
        self._count(name, run.outcome, run.started_at.timestamp() + run.duration_seconds)
        try:
            if not await self._schedules.record(name, _RECORDED.dump_json(RecordedRun(run, token)), token):
                reason = "another process has led since it began"
                _log.warning("schedule.record_failed", schedule=name, reason=reason)
        except Unavailable as error:
            _log.warning("schedule.record_failed", schedule=name, reason=error.detail)
