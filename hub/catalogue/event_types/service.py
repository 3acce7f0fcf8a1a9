"""Registers event types, and gives samples of their events."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import orjson

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.event_types.builtin import BUILT_IN
from hub.catalogue.event_types.checking import check_builtin
from hub.catalogue.event_types.model import EventType, EventTypeSpec
from hub.catalogue.patterns import is_type, matches
from hub.clock import Clock
from hub.compute import Budget, ComputePool, OverBudget
from hub.errors import Conflict, Fault, Invalid, NotFound
from hub.ids import new_id
from hub.models import Event, FeedEntry, Record

CHECK_SECONDS = 1.0
"""Processor time in which example or test data must be checked."""
COMPILE_SECONDS = 0.5
"""Processor time in which a schema must be compiled."""
SAMPLE_SOURCE = "urn:notification-hub:test"
_TYPE_FORM = "must be 1 to 255 printable ASCII characters without spaces and `*`"
_PLAIN_SAMPLE = {"message": "A sample from the notification hub."}
_SEARCH = {"user": ("data.email",)}
"""What the built-in types of a family list, beside what is searched in every event."""
_BUILT_IN = {
    name: EventType(
        type=name,
        built_in=True,
        description=kind.description,
        schema=kind.schema,
        example=kind.example,
        search=_SEARCH.get(name.partition(".")[0], ()),
    )
    for name, kind in BUILT_IN.items()
}


class EventTypes:
    """A tenant's event types: those that are built in, and those it registered.

    Registering a built-in type adds a schema to its own, which stays in force; deleting it removes the added schema.

    Example:

        await event_types.put("default", "stock.low", EventTypeSpec(schema={"type": "object"}))
        event_types.find("default", "stock.low").built_in  # False
    """

    def __init__(self, catalogue: Catalogue, clock: Clock, compute: ComputePool) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._compute = compute

    def listing(self, tenant: str) -> list[EventType]:
        """By name."""
        registered = {kind.type: kind for kind in self._catalogue.event_types(tenant)}
        return [kind for _, kind in sorted((_BUILT_IN | registered).items())]

    def find(self, tenant: str, name: str) -> EventType:
        """Raises `NotFound`."""
        kind = self._catalogue.event_type(tenant, name) or _BUILT_IN.get(name)
        if kind is None:
            raise NotFound("There is no such event type.")
        return kind

    def searched(self, tenant: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """The members that types list for searching, each as a type and a path in the data. What a built-in type lists
        is searched also where the tenant lists more for it."""
        kinds = (*_BUILT_IN.values(), *self._catalogue.event_types(tenant))
        members = ((kind.type, tuple(member.split(".")[1:])) for kind in kinds for member in kind.search)
        return tuple(dict.fromkeys(members))

    def sample(self, tenant: str, patterns: Sequence[str]) -> Event:
        """An event that was never published: the example of the first type, by name, that the patterns match."""
        # There are none of a subscription that only another version can read.
        name = patterns[0].replace("*", "test") if patterns else "test"
        return next(self.examples(tenant, patterns), None) or self._sample(tenant, name, _PLAIN_SAMPLE)

    async def made_up(self, tenant: str, name: str, data: Any = None) -> Event:
        """An event of this type that was never published: with these data, or otherwise with the type's example.

        Raises `Invalid` when the name is no type, or the data do not fit its schemas.
        """
        if not is_type(name):
            raise Invalid("The event type is malformed.", errors=[Fault(_TYPE_FORM, "/type")])
        registered = self._catalogue.event_type(tenant, name)
        if data is None:
            kind = registered or _BUILT_IN.get(name)
            return self._sample(tenant, name, _PLAIN_SAMPLE if kind is None or kind.example is None else kind.example)
        faults = await self._faults(tenant, name, registered, data)
        if faults:
            raise Invalid("The data break the schema of the type; see `errors`.", errors=faults)
        return self._sample(tenant, name, data)

    async def _faults(self, tenant: str, name: str, registered: EventType | None, data: Any) -> list[Fault]:
        raw, budget, faults = orjson.dumps(data), Budget(CHECK_SECONDS), list[Fault]()
        try:
            if name in BUILT_IN:
                faults += await check_builtin(tenant, name, data, raw, budget, self._compute)
            if registered is not None and registered.validator is not None:
                faults += await registered.validator.check(tenant, data, raw, budget, self._compute)
        except OverBudget:
            return [Fault(f"takes more than {CHECK_SECONDS:g} s of processor time to be checked", "/data")]
        return faults

    def examples(self, tenant: str, patterns: Sequence[str]) -> Iterator[Event]:
        """For each type that the patterns match and that has an example, that as an event; by pattern, then by name."""
        kinds = [kind for kind in self.listing(tenant) if kind.example is not None]
        found = {kind.type: kind for pattern in patterns for kind in kinds if matches(pattern, kind.type)}
        return (self._sample(tenant, kind.type, kind.example) for kind in found.values())

    def _sample(self, tenant: str, name: str, data: Any) -> Event:
        now = self._clock.now()
        return Event(
            id=new_id("evt"),
            tenant=tenant,
            type=name,
            source=SAMPLE_SOURCE,
            time=now,
            data=orjson.dumps(data),
            accepted_at=now,
        )

    async def put(self, tenant: str, name: str, spec: EventTypeSpec) -> EventType:
        """Register a type, or replace what was registered. Raises `Invalid` where the spec breaks a rule."""
        if not is_type(name):
            fault = Fault(_TYPE_FORM, "/path/type")
            raise Invalid("The event type is malformed.", errors=[fault])
        made = self._made(name, spec)
        await self._check_schema(made, tenant)
        await self._check_example(made, tenant)

        def build() -> tuple[list[Record], list[FeedEntry]]:
            # Read here and not before: it runs again when another process has changed the catalogue.
            self._catalogue.refuse_passed_over("event_type", name, tenant)
            current = self._catalogue.event_type(tenant, name)
            kept = made if current is None else made.in_place_of(current)
            return [Record("event_type", tenant, name, kept.written())], []

        await self._catalogue.change(build)
        return self.find(tenant, name)

    async def _check_schema(self, kind: EventType, tenant: str) -> None:
        """Raises `Invalid` when the schema cannot be used, or takes too long to be compiled."""
        if kind.validator is None:
            return
        try:
            await kind.validator.refuse_unusable(tenant, Budget(COMPILE_SECONDS), self._compute)
        except OverBudget:
            fault = Fault(f"takes more than {COMPILE_SECONDS:g} s of processor time to be compiled", "/schema")
            raise Invalid("The schema is not usable.", errors=[fault]) from None

    async def _check_example(self, kind: EventType, tenant: str) -> None:
        """Raises `Invalid` when the example does not fit the schema."""
        if kind.example is None:
            return
        faults = await self._faults(tenant, kind.type, kind, kind.example)
        if faults:
            moved = [replace(fault, pointer="/example" + fault.pointer.removeprefix("/data")) for fault in faults]
            raise Invalid("The example does not fit the schema of the type; see `errors`.", errors=moved)

    async def delete(self, tenant: str, name: str) -> None:
        """Raises `Conflict` for a built-in type to which nothing was added."""

        def build() -> tuple[list[Record], list[FeedEntry]]:
            known = self._catalogue.event_type(tenant, name) or self._catalogue.passed_over("event_type", name, tenant)
            if known is None:
                self.find(tenant, name)
                raise Conflict("This event type is built in: it cannot be deleted.")
            return [Record("event_type", tenant, name, None)], []

        await self._catalogue.change(build)

    def _made(self, name: str, spec: EventTypeSpec) -> EventType:
        now = self._clock.now()
        return EventType(
            type=name,
            built_in=name in BUILT_IN,
            description=spec.description,
            schema=spec.schema_,
            example=spec.example,
            search=spec.search,
            created_at=now,
            updated_at=now,
        )
