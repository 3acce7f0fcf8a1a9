"""The live stream: its listeners, what each is sent, and how it resumes."""

from hub.stream.broadcaster import Broadcaster, Limits, open_broadcaster
from hub.stream.selection import Selection
from hub.stream.tickets import StreamTickets

__all__ = ["Broadcaster", "Limits", "Selection", "StreamTickets", "open_broadcaster"]
