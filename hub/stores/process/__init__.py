"""The parts of a store that one process keeps in its own memory, because no other process has that store open."""

from hub.stores.process.coordination import ProcessLeases, ProcessReports, ProcessSchedules, ProcessSignals
from hub.stores.process.gated_queue import GatedQueue

__all__ = ["GatedQueue", "ProcessLeases", "ProcessReports", "ProcessSchedules", "ProcessSignals"]
