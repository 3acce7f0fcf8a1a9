"""The channels: the media that an event can be sent by, one module for each."""

from channels.discovery import ChannelConflict, load_channels

__all__ = ["ChannelConflict", "load_channels"]
