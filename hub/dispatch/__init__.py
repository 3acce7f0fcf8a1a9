"""From a due delivery to its next state: claim it, make one attempt, record what became of it."""

from hub.dispatch.dispatcher import Dispatcher
from hub.dispatch.sender import Sender

__all__ = ["Dispatcher", "Sender"]
