"""The event types that come with the hub: orders and users.

Members beyond the named ones are allowed and kept. The examples have the members that the built-in templates show.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hub.catalogue.event_types.schema import Schema
from hub.errors import Fault

_ID = {"type": ["string", "integer"], "minLength": 1, "maxLength": 200}
_AMOUNT = {
    "type": "string",
    "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,6})?$",
    "description": "A decimal number as a string, so that no digit is lost.",
    "examples": ["129.90"],
}
_NAME = {"type": "string", "maxLength": 1_000}
_EMAIL = {"type": "string", "maxLength": 254, "format": "email", "examples": ["ada@example.com"]}


def _object(members: Mapping[str, Any], *required: str) -> dict[str, Any]:
    """An object with these members; what is not required may also be null, and a text of it empty."""
    properties = {name: rule if name in required else _optional(rule) for name, rule in members.items()}
    return {"type": "object", "properties": properties, "required": list(required)}


def _optional(rule: Mapping[str, Any]) -> dict[str, Any]:
    # Not `anyOf`, whose faults do not say which rule is broken, and where. Shops write empty texts for what they lack.
    types = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    return {**{name: value for name, value in rule.items() if name != "minLength"}, "type": [*types, "null"]}


_CUSTOMER = _object(
    {
        "id": _ID,
        "name": _NAME,
        "email": {"type": "string", "maxLength": 254, "if": {"minLength": 1}, "then": {"format": "email"}},
    }
)
_ITEM = _object(
    {"sku": _ID, "name": _NAME, "quantity": {"type": "number", "exclusiveMinimum": 0}, "unit_price": _AMOUNT},
    "quantity",
)
_CURRENCY = {
    "type": "string",
    "pattern": "^[A-Za-z]{3}$",
    "description": "An ISO 4217 code, in any case.",
    "examples": ["EUR"],
}
_ORDER_SCHEMA = {
    "title": "OrderData",
    "description": "The data of every `order.…` event.",
    **_object(
        {
            "order_id": _ID,
            "total": _AMOUNT,
            "currency": _CURRENCY,
            "customer": _CUSTOMER,
            "items": {"type": "array", "items": _ITEM},
        },
        "order_id",
    ),
}
_USER_SCHEMA = {
    "title": "UserData",
    "description": "The data of every `user.…` event.",
    **_object({"user_id": _ID, "email": _EMAIL, "name": _NAME}, "user_id", "email"),
}


@dataclass(frozen=True, slots=True)
class BuiltInType:
    """An event type that every tenant has."""

    description: str
    schema: dict[str, Any]
    example: dict[str, Any]
    compiled: Schema


def validate_builtin(event_type: str, data: Any) -> tuple[Fault, ...]:
    """Where the data breaks the schema of a built-in type, with pointers under `/data`; nothing for other types."""
    kind = BUILT_IN.get(event_type)
    return () if kind is None else kind.compiled.validate(data)


_ORDER = {
    "order_id": "1001",
    "total": "129.90",
    "currency": "EUR",
    "customer": {"id": "u-42", "name": "Ada Lovelace", "email": "ada@example.com"},
    "items": [
        {"sku": "MUG-01", "name": "Enamel mug", "quantity": 2, "unit_price": "14.95"},
        {"sku": "LMP-07", "name": "Desk lamp", "quantity": 1, "unit_price": "95.00"},
    ],
    "shop": {"name": "Lantern & Co.", "url": "https://shop.example.com", "email": "hello@example.com"},
    "url": "https://shop.example.com/orders/1001",
}
_USER = {
    "user_id": "u-42",
    "email": "ada@example.com",
    "name": "Ada Lovelace",
    "shop": {"name": "Lantern & Co.", "url": "https://shop.example.com", "email": "hello@example.com"},
}
_ADDRESS = {
    "name": "Ada Lovelace",
    "line1": "12 St James's Square",
    "postal_code": "SW1Y 4JH",
    "city": "London",
    "country": "GB",
}


def _built_in(rules: Mapping[str, Any], base: Mapping[str, Any], description: str, **members: Any) -> BuiltInType:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **rules}
    return BuiltInType(description, schema, {**base, **members}, Schema.compile(schema))


def _order(description: str, **members: Any) -> BuiltInType:
    return _built_in(_ORDER_SCHEMA, _ORDER, description, **members)


def _user(description: str, **members: Any) -> BuiltInType:
    return _built_in(_USER_SCHEMA, _USER, description, **members)


BUILT_IN: Mapping[str, BuiltInType] = {
    "order.created": _order(
        "A customer placed an order.",
        subtotal="124.90",
        shipping="5.00",
        shipping_address=_ADDRESS,
    ),
    "order.paid": _order("The order's payment arrived.", payment_method="Visa ending in 4242"),
    "order.shipped": _order(
        "The order was handed to a carrier.",
        carrier="DHL",
        tracking_number="JD014600006281230704",
        tracking_url="https://track.example.com/JD014600006281230704",
        estimated_delivery="2026-11-27",
        shipping_address=_ADDRESS,
    ),
    "order.delivered": _order("The order reached the customer.", delivered_at="2026-11-26T10:42:00Z"),
    "order.cancelled": _order("The order was called off.", reason="The desk lamp is out of stock."),
    "order.refunded": _order("Money went back to the customer.", refund_amount="95.00", reason="The lamp came broken."),
    "user.registered": _user("Someone opened an account.", verify_url="https://shop.example.com/verify/5f2c"),
    "user.verified": _user("The user's e-mail address was confirmed.", url="https://shop.example.com/account"),
    "user.updated": _user("Something in the user's account was changed.", changes=["phone number", "password"]),
    "user.password_reset_requested": _user(
        "Someone asked to set a new password.",
        reset_url="https://shop.example.com/reset/9b1d",
        expires_at="2026-11-23T13:00:00Z",
    ),
    "user.deleted": _user("The account was closed."),
}
