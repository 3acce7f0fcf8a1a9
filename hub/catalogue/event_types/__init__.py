"""The event types that are built in, those that a tenant registers, and the JSON Schemas of both."""

from hub.catalogue.event_types.builtin import BUILT_IN, validate_builtin
from hub.catalogue.event_types.model import EventType, EventTypeSpec
from hub.catalogue.event_types.schema import Schema

__all__ = ["BUILT_IN", "EventType", "EventTypeSpec", "Schema", "validate_builtin"]
