"""The event types that are built in, and those that a tenant registers."""

from hub.event_types.model import EventType, EventTypeSpec

__all__ = ["EventType", "EventTypeSpec"]
