"""The book of schedules: how each last ran, in whichever process, and whether it is to run here."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

import structlog
from pydantic import TypeAdapter, ValidationError

from hub.cluster.leadership import Leadership
from hub.errors import Unavailable
from hub.stores.base import Schedules
from schedules.timetable import NotNow, RecordRun, Run

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run as the store keeps it, with the fencing token it was noted with."""

    run: Run
    token: int


_RECORDED = TypeAdapter(RecordedRun)


class RunHistory:
    """As the timetable wants it. The jobs in `led` run in their turn only where this process leads."""

    def __init__(self, schedules: Schedules, leadership: Leadership, led: Collection[str]) -> None:
        self._schedules = schedules
        self._leadership = leadership
        self._led = frozenset(led)

    async def last_runs(self) -> Mapping[str, Run]:
        """By name. Raises `Unavailable`."""
        return {name: recorded.run for name, recorded in (await self._recorded()).items()}

    async def open(self, name: str, *, in_turn: bool) -> RecordRun | None:
        """What notes this run; None where another process is to run it. Raises `NotNow`."""
        if name not in self._led:
            return partial(self._record, name, 0)
        try:
            if in_turn:
                token = await self._leadership.confirm()
            else:
                recorded = (await self._recorded()).get(name)
                token = recorded.token if recorded else 0
        except Unavailable as error:
            raise NotNow(error.detail) from error
        return None if token is None else partial(self._record, name, token)

    async def _recorded(self) -> dict[str, RecordedRun]:
        found = {}
        for name, run in (await self._schedules.runs()).items():
            try:
                found[name] = _RECORDED.validate_json(run)
            except ValidationError:
                _log.warning("a noted run cannot be read", schedule=name)
        return found

    async def _record(self, name: str, token: int, run: Run) -> None:
        """Keep a run, if that can be; it has ended as it has in any case."""
        try:
            if not await self._schedules.record(name, _RECORDED.dump_json(RecordedRun(run, token)), token):
                _log.warning("run not noted", schedule=name, reason="another process has led since it began")
        except Unavailable as error:
            _log.warning("run not noted", schedule=name, reason=error.detail)
