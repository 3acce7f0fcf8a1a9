"""JSON Schemas of event data: those that are built in, and those that tenants register."""

from hub.schemas.builtin import BUILT_IN, validate_builtin
from hub.schemas.schema import Schema

__all__ = ["BUILT_IN", "Schema", "validate_builtin"]
