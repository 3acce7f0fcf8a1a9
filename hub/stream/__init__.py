"""The live stream: its listeners, what each is sent, and how it resumes."""

from hub.stream import frames
from hub.stream.broadcaster import Broadcaster, Limits, open_broadcaster
from hub.stream.live_tail import RETRY_BUSY
from hub.stream.selection import Selection
from hub.stream.tickets import StreamTickets

__all__ = ["RETRY_BUSY", "Broadcaster", "Limits", "Selection", "StreamTickets", "frames", "open_broadcaster"]
