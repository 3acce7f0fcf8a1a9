"""From a due delivery to its next state: lanes share out the room, a sender makes the one try, `settle` decides."""

from hub.dispatch.dispatcher import Dispatcher
from hub.dispatch.lanes import Lanes
from hub.dispatch.sender import Sender

__all__ = ["Dispatcher", "Lanes", "Sender"]
