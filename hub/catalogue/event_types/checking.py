"""Checking data against schemas: at once where that costs little, and otherwise off the event loop."""

from functools import lru_cache
from time import perf_counter
from typing import Any

import orjson

from hub.catalogue.event_types.builtin import BUILT_IN, validate_builtin
from hub.catalogue.event_types.schema import Schema
from hub.compute import Budget, ComputePool
from hub.errors import Fault

MAX_WORK = 200_000
"""Weight of a schema, multiplied by the bytes of the data, up to which data are checked on the event loop: 20 ms for
the worst that was found, and a thousandth of that for usual ones."""
MAX_FAULT_WORK = 4_000
"""Likewise for naming what is wrong, which costs fifty times as much."""
MAX_BUILT_IN_BYTES = 10_000
"""Data of a built-in type up to which its faults are named on the event loop."""
SLOW_SECONDS = 0.02
_COMPILED = 64


class TenantSchema:
    """A schema that a tenant has registered.

    Example:

        schema = TenantSchema({"type": "object", "required": ["sku"]})
        await schema.check("default", {}, b"{}", Budget(1.0), compute)  # (Fault("is required", "/data/sku"),)
    """

    def __init__(self, document: Any) -> None:
        self._document = document
        self._light: Schema | None = None
        self._weight = 0
        if (light := Schema.compile_light(document)) is not None:
            self._light, self._weight = light

    async def refuse_unusable(self, tenant: str, budget: Budget, compute: ComputePool) -> None:
        """Raises `Invalid`, with pointers under `/schema`, `OverBudget` where it takes too long to be compiled, and
        `Unavailable`."""
        if self._light is None:
            compute.refuse_crowd(tenant)
            await compute.run(tenant, budget, refuse_unusable, orjson.dumps(self._document))

    async def check(
        self, tenant: str, data: Any, raw: bytes, budget: Budget, compute: ComputePool
    ) -> tuple[Fault, ...]:
        """Where the data, parsed and as JSON, break the schema. Raises `OverBudget`, and `Unavailable` when too many
        checks of this tenant wait."""
        work = self._weight * len(raw)
        if self._light is not None and work <= MAX_WORK:
            if self._is_valid(self._light, data):
                return ()
            if work <= MAX_FAULT_WORK:
                return self._light.validate(data)
        compute.refuse_crowd(tenant)
        return await compute.run(tenant, budget, faults_of, orjson.dumps(self._document), raw)

    def _is_valid(self, schema: Schema, data: Any) -> bool:
        began = perf_counter()
        fits = schema.is_valid(data)
        if perf_counter() - began > SLOW_SECONDS:
            # Whatever the reason is, once is enough.
            self._light = None
        return fits


async def check_builtin(
    tenant: str, event_type: str, data: Any, raw: bytes, budget: Budget, compute: ComputePool
) -> tuple[Fault, ...]:
    """As `TenantSchema.check`, for the schema of a built-in type."""
    schema = BUILT_IN[event_type].compiled
    if schema.is_valid(data):
        return ()
    if len(raw) <= MAX_BUILT_IN_BYTES:
        return schema.validate(data)
    compute.refuse_crowd(tenant)
    return await compute.run(tenant, budget, builtin_faults_of, event_type, raw)


def faults_of(document: bytes, data: bytes) -> tuple[Fault, ...]:
    """Where the data break the schema, both as JSON. Raises `Invalid` when the schema cannot be used."""
    return _compiled(document).validate(orjson.loads(data))


def refuse_unusable(document: bytes) -> None:
    _compiled(document)


def builtin_faults_of(event_type: str, data: bytes) -> tuple[Fault, ...]:
    return validate_builtin(event_type, orjson.loads(data))


@lru_cache(maxsize=_COMPILED)
def _compiled(document: bytes) -> Schema:
    return Schema.compile(orjson.loads(document))
