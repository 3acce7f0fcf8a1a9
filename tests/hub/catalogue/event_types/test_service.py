"""Event types of a tenant: the built-in ones always, and what it adds to them; and samples of their events."""

from typing import Any

import orjson
import pytest

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.event_types import BUILT_IN, EventTypeSpec
from hub.catalogue.event_types.service import EventTypes
from hub.compute import ComputePool
from hub.errors import Conflict, Invalid, NotFound
from hub.models import Record
from hub.stores.base import Store
from hub.testing.clock import ManualClock

SKU = {"type": "object", "required": ["sku"]}


@pytest.fixture
def event_types(catalogue: Catalogue, clock: ManualClock) -> EventTypes:
    return EventTypes(catalogue, clock, ComputePool())


def spec(**members: Any) -> EventTypeSpec:
    return EventTypeSpec.model_validate(members)


async def test_a_tenant_has_the_built_in_types_and_its_own_by_name(event_types: EventTypes) -> None:
    for name in ("zebra.seen", "ant.seen"):
        await event_types.put("acme", name, spec())
    names = [kind.type for kind in event_types.listing("acme")]
    assert names == sorted([*BUILT_IN, "zebra.seen", "ant.seen"])
    assert [kind.type for kind in event_types.listing("other")] == sorted(BUILT_IN)


async def test_replacing_a_type_keeps_the_instant_of_its_creation(event_types: EventTypes, clock: ManualClock) -> None:
    first = await event_types.put("acme", "stock.low", spec(schema=SKU))
    clock.advance(10)
    second = await event_types.put("acme", "stock.low", spec(description="Little is left."))
    assert (second.created_at, second.updated_at) == (first.created_at, clock.now())
    assert second.schema_ is None
    assert event_types.find("acme", "stock.low") == second


async def test_what_only_a_newer_version_knows_of_a_type_outlives_its_replacement(
    event_types: EventTypes, catalogue: Catalogue, store: Store
) -> None:
    doc = b'{"type": "stock.low", "zone": "eu", "schema": {"maximum": 1}}'
    await catalogue.change(lambda: ([Record("event_type", "acme", "stock.low", doc)], []))
    await event_types.put("acme", "stock.low", spec(schema={"maximum": 9}, description="Little is left."))
    (kept,) = (await store.records.changes(0))[0]
    assert b'"zone":"eu"' in (kept.doc or b"")
    assert b'"maximum":9}' in (kept.doc or b"")


async def test_a_type_that_only_another_version_can_read_is_not_replaced_but_can_be_deleted(
    event_types: EventTypes, catalogue: Catalogue
) -> None:
    await catalogue.change(lambda: ([Record("event_type", "acme", "stock.low", b"[]")], []))
    assert [kind.type for kind in event_types.listing("acme")] == sorted(BUILT_IN)
    with pytest.raises(Conflict):
        await event_types.put("acme", "stock.low", spec())
    await event_types.delete("acme", "stock.low")
    await event_types.put("acme", "stock.low", spec())


@pytest.mark.parametrize("name", ["", "order.*", "a b", "x" * 256, "über"])
async def test_a_name_that_no_event_may_have_is_not_registered(event_types: EventTypes, name: str) -> None:
    with pytest.raises(Invalid):
        await event_types.put("acme", name, spec())


async def test_an_example_that_does_not_fit_is_pointed_at(event_types: EventTypes) -> None:
    with pytest.raises(Invalid) as refused:
        await event_types.put("acme", "stock.low", spec(schema=SKU, example={}))
    assert [fault.pointer for fault in refused.value.errors] == ["/example/sku"]
    with pytest.raises(NotFound):
        event_types.find("acme", "stock.low")


async def test_an_example_of_a_built_in_type_must_fit_the_built_in_schema_as_well(event_types: EventTypes) -> None:
    example = BUILT_IN["user.deleted"].example
    with pytest.raises(Invalid) as refused:
        await event_types.put("acme", "user.deleted", spec(schema=SKU, example={**example, "email": "nobody"}))
    assert [fault.pointer for fault in refused.value.errors] == ["/example/email", "/example/sku"]
    added = await event_types.put("acme", "user.deleted", spec(schema=SKU, example={**example, "sku": "A-1"}))
    assert added.built_in


async def test_deleting_a_built_in_type_takes_only_what_was_added(event_types: EventTypes) -> None:
    await event_types.put("acme", "user.deleted", spec(description="Gone."))
    await event_types.delete("acme", "user.deleted")
    assert event_types.find("acme", "user.deleted").description == BUILT_IN["user.deleted"].description
    with pytest.raises(Conflict):
        await event_types.delete("acme", "user.deleted")
    with pytest.raises(NotFound):
        await event_types.delete("acme", "stock.low")


async def test_a_sample_is_the_example_of_the_first_type_that_a_pattern_matches(event_types: EventTypes) -> None:
    await event_types.put("acme", "stock.high", spec())
    await event_types.put("acme", "stock.low", spec(example={"sku": "A-1"}))
    sample = event_types.sample("acme", ["none.such", "stock.*", "*"])
    assert (sample.type, orjson.loads(sample.data)) == ("stock.low", {"sku": "A-1"})


@pytest.mark.parametrize(("pattern", "named"), [("none.such", "none.such"), ("none.*", "none.test")])
def test_where_no_type_matches_the_sample_is_named_as_the_pattern(
    event_types: EventTypes, pattern: str, named: str
) -> None:
    sample = event_types.sample("acme", [pattern])
    assert sample.type == named
    assert orjson.loads(sample.data)
