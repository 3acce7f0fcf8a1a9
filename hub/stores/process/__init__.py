"""The parts of a store that one process keeps in its own memory, because no other has that store open."""

from hub.stores.process.gated_queue import GatedQueue
from hub.stores.process.leases import ProcessLeases
from hub.stores.process.schedules import ProcessSchedules
from hub.stores.process.signals import ProcessSignals
from hub.stores.process.tickets import ProcessTickets

__all__ = ["GatedQueue", "ProcessLeases", "ProcessSchedules", "ProcessSignals", "ProcessTickets"]
