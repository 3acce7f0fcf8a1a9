"""The built-in event types: their names, and what their data must look like."""

import json
from typing import Any

import pytest

from hub.catalogue.event_types import BUILT_IN, Schema, validate_builtin

API_TYPES = """order.created order.paid order.shipped order.delivered order.cancelled order.refunded user.registered
user.verified user.updated user.password_reset_requested user.deleted"""


def test_the_built_in_types_are_those_of_the_contract() -> None:
    assert list(BUILT_IN) == API_TYPES.split()


@pytest.mark.parametrize("event_type", BUILT_IN)
def test_the_example_of_a_built_in_type_fits_its_schema(event_type: str) -> None:
    kind = BUILT_IN[event_type]
    assert validate_builtin(event_type, kind.example) == ()
    assert Schema.compile(json.loads(json.dumps(kind.schema))).validate(kind.example) == ()


@pytest.mark.parametrize(
    ("event_type", "change", "pointer"),
    [
        ("order.created", {"total": 129.9}, "/data/total"),
        ("order.created", {"total": "12,90"}, "/data/total"),
        ("order.created", {"currency": "euro"}, "/data/currency"),
        ("order.created", {"currency": "€"}, "/data/currency"),
        ("order.created", {"customer": "Ada"}, "/data/customer"),
        ("order.created", {"customer": {"id": True}}, "/data/customer/id"),
        ("order.created", {"customer": {"email": "ada"}}, "/data/customer/email"),
        ("order.created", {"items": {}}, "/data/items"),
        ("order.created", {"items": [{"sku": "A"}]}, "/data/items/0/quantity"),
        ("order.created", {"items": [{"sku": "A", "quantity": -0.5}]}, "/data/items/0/quantity"),
        ("order.created", {"items": [{"sku": "x" * 201, "quantity": 1}]}, "/data/items/0/sku"),
        ("order.created", {"order_id": ""}, "/data/order_id"),
        ("order.created", {"items": [{"quantity": 1, "unit_price": 1.5}]}, "/data/items/0/unit_price"),
        ("order.created", {"order_id": None}, "/data/order_id"),
        ("order.created", {"items": [{"sku": "A", "quantity": 0, "unit_price": "1"}]}, "/data/items/0/quantity"),
        ("order.created", {"items": [{"sku": "A", "quantity": "1", "unit_price": "1"}]}, "/data/items/0/quantity"),
        ("order.paid", {"order_id": 10.5}, "/data/order_id"),
        ("user.deleted", {"user_id": ""}, "/data/user_id"),
        ("user.deleted", {"email": "a@b\r\nBcc: c@d"}, "/data/email"),
        ("user.deleted", {"email": "Ada <a@b.example>"}, "/data/email"),
        ("user.deleted", {"email": '"a\r\nb"@c.example'}, "/data/email"),
        ("user.deleted", {"email": '"a"b"@c.example'}, "/data/email"),
        ("user.deleted", {"email": "a@[192.0.2.1]>"}, "/data/email"),
    ],
)
def test_data_of_a_built_in_type_that_breaks_a_rule_is_pointed_at(event_type: str, change: Any, pointer: str) -> None:
    found = validate_builtin(event_type, {**BUILT_IN[event_type].example, **change})
    assert [fault.pointer for fault in found] == [pointer]


@pytest.mark.parametrize("event_type", [name for name in BUILT_IN if name.startswith("order.")])
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"total": None, "currency": None, "customer": None, "items": None},
        {"customer": {}},
        {"customer": {"id": None, "name": None, "email": None, "phone": "+15550100"}},
        {"customer": {"id": 207119551, "name": "", "email": ""}},
        {"customer": {"id": ""}, "items": [{"sku": "", "quantity": 1}]},
        {"items": [{"sku": "cheese", "quantity": 0.35, "unit_price": "18.00"}]},
        {"items": [{"sku": None, "name": "Gift wrap", "quantity": 1, "unit_price": None}, {"quantity": 2.0}]},
        {"currency": "usd", "total": "-1.50"},
        {"order_id": 450789469},
    ],
)
def test_an_order_needs_its_id_and_the_form_of_what_else_it_has(event_type: str, data: dict[str, Any]) -> None:
    assert validate_builtin(event_type, {"order_id": "1001", **data}) == ()


def test_a_user_needs_an_id_and_an_address() -> None:
    assert validate_builtin("user.registered", {"user_id": 42, "email": "ada@example.com", "name": None}) == ()
    assert [fault.pointer for fault in validate_builtin("user.registered", {})] == ["/data/user_id", "/data/email"]


def test_further_members_and_internationalised_addresses_are_taken() -> None:
    example = BUILT_IN["user.updated"].example
    assert validate_builtin("user.updated", {**example, "email": "jürgen@münchen.example", "anything": [1]}) == ()


@pytest.mark.parametrize(
    "address",
    [
        *("root@localhost", "ops@corp.local", "u@[192.0.2.1]", "u@[IPv6:2001:db8::1]"),
        '"ann, \\"a\\" @ smith"@b.example',
    ],
)
def test_every_form_of_an_address_is_for_the_relay_to_judge(address: str) -> None:
    assert validate_builtin("user.deleted", {"user_id": "u-1", "email": address}) == ()


def test_other_types_have_no_built_in_rules() -> None:
    assert validate_builtin("stock.low", 5) == ()
