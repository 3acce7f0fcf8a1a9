"""JSON Schemas of event data: those that are built in, and those that tenants register."""

from hub.schemas.builtin import BUILT_IN, BuiltInType, OrderData, UserData, validate_builtin
from hub.schemas.schema import Schema

__all__ = ["BUILT_IN", "BuiltInType", "OrderData", "Schema", "UserData", "validate_builtin"]
