"""What one process remembers of its schedules."""

from collections.abc import Mapping

from hub.stores.base import Schedules


class ProcessSchedules(Schedules):
    def __init__(self) -> None:
        self._runs: dict[str, tuple[int, bytes]] = {}
        """The fencing token and the run, by the name of the schedule."""

    async def record(self, name: str, run: bytes, token: int) -> bool:
        if self._runs.get(name, (token,))[0] > token:
            return False
        self._runs[name] = token, run
        return True

    async def runs(self) -> Mapping[str, bytes]:
        return {name: run for name, (_, run) in self._runs.items()}
