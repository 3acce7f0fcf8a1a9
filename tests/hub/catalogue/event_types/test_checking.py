"""Data are checked on the event loop only where that costs little, and have the same faults wherever it is done."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from hub.catalogue.event_types.checking import TenantSchema, check_builtin
from hub.compute import Budget, ComputePool, OverBudget
from hub.compute.process import ComputeProcess
from hub.errors import Fault, Invalid

LIGHT = {"type": "object", "required": ["sku"]}
COSTLY = {
    "$defs": {"a": {"oneOf": [{"type": "string", "pattern": "^(a|aa)+$"}] * 60}},
    "items": {"anyOf": [{"$ref": "#/$defs/a"}] * 60},
}
MANY_PATTERNS = {"patternProperties": {f"^(a|b){{1,20}}x{number}$": True for number in range(900)}}
NUMBERS = {"items": {"allOf": [{"multipleOf": 0.000_000_1}] * 400}}
FREEZING = [(COSTLY, ["a" * 2_000] * 120), (NUMBERS, [1e300] * 2_000)]
"""Within every limit of size, and each takes seconds."""


@pytest.fixture
async def compute() -> AsyncIterator[ComputePool]:
    async with ComputePool() as opened:
        yield opened


async def check(schema: Any, data: Any, compute: ComputePool, seconds: float = 10.0) -> tuple[Fault, ...]:
    return await TenantSchema(schema).check("acme", data, orjson.dumps(data), Budget(seconds), compute)


async def test_small_data_of_a_light_schema_are_checked_at_once() -> None:
    class Refusing(ComputePool):
        async def _turn(self, tenant: str) -> ComputeProcess:
            raise AssertionError("nothing is to be computed elsewhere")

    assert await check(LIGHT, {"sku": "A-1"}, Refusing()) == ()
    assert await check(LIGHT, {}, Refusing()) == (Fault("is required", "/data/sku"),)


@pytest.mark.process
async def test_what_is_large_is_checked_elsewhere_with_the_same_faults(compute: ComputePool) -> None:
    schema = {"items": {"type": "string"}}
    data = [*["x"] * 50_000, 5]
    assert await check(schema, data, compute) == (Fault("must be of type string", "/data/50000"),)
    assert await check(schema, data[:-1], compute) == ()
    order = {"order_id": "1", "items": [{"quantity": 1}] * 2_000 + [{"quantity": 0}]}
    faults = await check_builtin("acme", "order.paid", order, orjson.dumps(order), Budget(10.0), compute)
    assert faults == (Fault("must be over 0", "/data/items/2000/quantity"),)


@pytest.mark.process
@pytest.mark.parametrize(("schema", "data"), FREEZING)
async def test_what_takes_seconds_is_given_up(schema: Any, data: Any, compute: ComputePool) -> None:
    with pytest.raises(OverBudget):
        await check(schema, data, compute, 0.1)


@pytest.mark.process
async def test_a_heavy_schema_is_tried_before_it_is_used(compute: ComputePool) -> None:
    await TenantSchema(COSTLY).refuse_unusable("acme", Budget(10.0), compute)
    unusable = {"allOf": [{"type": "string"}] * 2_000, "$ref": "#/$defs/none"}
    with pytest.raises(Invalid) as refused:
        await TenantSchema(unusable).refuse_unusable("acme", Budget(10.0), compute)
    assert [fault.pointer for fault in refused.value.errors] == ["/schema/$ref"]
    with pytest.raises(OverBudget):
        await TenantSchema(MANY_PATTERNS).refuse_unusable("acme", Budget(0.000_001), compute)


@pytest.mark.process
async def test_a_schema_that_was_slow_once_is_checked_elsewhere_from_then_on(
    compute: ComputePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = TenantSchema(LIGHT)
    seconds = iter(range(100))
    monkeypatch.setattr("hub.catalogue.event_types.checking.perf_counter", lambda: next(seconds))
    for _ in range(2):
        assert await schema.check("acme", {"sku": 1}, b'{"sku":1}', Budget(10.0), compute) == ()
    assert schema._light is None
