"""The live stream: its listeners, what each is sent, and how it resumes."""

from hub.stream import frames
from hub.stream.broadcaster import EARLIEST, Broadcaster, Limits, open_broadcaster
from hub.stream.known_types import KnownTypes
from hub.stream.live_tail import RETRY_BUSY
from hub.stream.selection import Selection
from hub.stream.tickets import StreamTickets

__all__ = [
    "EARLIEST",
    "RETRY_BUSY",
    "Broadcaster",
    "KnownTypes",
    "Limits",
    "Selection",
    "StreamTickets",
    "frames",
    "open_broadcaster",
]
