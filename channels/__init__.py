"""The media an event can be sent by, one module each."""

from channels.discovery import ChannelConflict, load_channels

__all__ = ["ChannelConflict", "load_channels"]
