"""The rooms of the main package, the arrows between them, and the rows that the import contracts give them.

A room is a module directly in the package, or a package in it. An arrow is an import from one room into another.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from measuring.source import Source


class Import(NamedTuple):
    """A module of the main package that imports another one of it."""

    place: str
    importer: str
    imported: str


class Row(NamedTuple):
    """A row of a contract of layers, counted from the top. Modules of an independent row do not import each other."""

    number: int
    independent: bool


@dataclass(frozen=True)
class Contract:
    """A contract of layers for what is directly in one package."""

    container: str
    rows: Mapping[str, Row]

    def child(self, module: str) -> str | None:
        """What a module belongs to among those that have a row; None for what is not in the package."""
        inside = module.removeprefix(f"{self.container}.")
        return inside.partition(".")[0] if inside != module else None

    def is_up(self, found: Import) -> bool:
        """Whether an import leads into a higher row, or beside in a row whose modules are independent."""
        above, below = self.child(found.imported), self.child(found.importer)
        if above is None or below is None or above == below:
            return False
        row, own = self.rows.get(above), self.rows.get(below)
        if row is None or own is None:
            return False
        return row.number < own.number or (row.number == own.number and row.independent)


def contracts(settings: Mapping[str, Any]) -> Iterator[Contract]:
    """The layers of each container, as the import linter reads them. Exceptions made there do not count here."""
    for contract in settings.get("tool", {}).get("importlinter", {}).get("contracts", ()):
        if contract["type"] != "layers":
            continue
        rows = {
            name.strip(" ()"): Row(number, "|" in row)
            for number, row in enumerate(contract["layers"])
            for name in row.replace("|", ":").split(":")
        }
        yield from (Contract(container, rows) for container in contract.get("containers", ()))


class House:
    """The rooms of a package. Each package in an `opened` room is a room of its own."""

    def __init__(self, main: str, sources: Iterable[Source], opened: Iterable[str]) -> None:
        self._main = main
        self._sources = {source.module: source for source in sources if source.module.split(".")[0] == main}
        self._opened = {f"{main}.{name}" for name in opened}
        self.loose = [
            source for name, source in self._sources.items() if name.count(".") == 1 and not source.is_package
        ]
        self.rooms = {room for name in self._sources if (room := self.room(name))}

    def room(self, module: str) -> str | None:
        """The room of a module; None for the package itself."""
        parts = module.split(".")
        if len(parts) == 1:
            return None
        room = ".".join(parts[:2])
        inner = ".".join(parts[:3])
        opens = room in self._opened and inner in self._sources and self._sources[inner].is_package
        return inner if opens else room

    @cached_property
    def imports(self) -> list[Import]:
        """Every import of one module by another, in the main package."""
        return [
            Import(f"{source.place}:{line}", source.module, known)
            for source in self._sources.values()
            for line, name in source.imports()
            if (known := self._known(name)) and known != source.module
        ]

    def _known(self, name: str) -> str | None:
        """The module that a full name is or lies in."""
        while name and name not in self._sources:
            name = name.rpartition(".")[0]
        return name or None

    @cached_property
    def arrows(self) -> Mapping[str, set[str]]:
        """By room, the rooms that it imports from."""
        arrows: dict[str, set[str]] = {room: set() for room in self.rooms}
        for _, importer, imported in self.imports:
            start, end = self.room(importer), self.room(imported)
            if start and end and start != end:
                arrows[start].add(end)
        return arrows

    @cached_property
    def reach(self) -> Mapping[str, set[str]]:
        """By room, all rooms that it imports from, directly or through others."""
        return {room: self._reached(room) for room in self.rooms}

    def _reached(self, room: str) -> set[str]:
        reached: set[str] = set()
        ahead = set(self.arrows[room])
        while ahead:
            reached |= ahead
            ahead = {far for near in ahead for far in self.arrows[near]} - reached
        return reached

    @property
    def cycles(self) -> list[list[str]]:
        """Rooms that reach each other, as sorted groups."""
        groups = {tuple(sorted(o for o in self.reach[room] if room in self.reach[o])) for room in self.rooms}
        return sorted(list(group) for group in groups if group)

    @property
    def floors(self) -> int:
        """Rooms on the longest way down; a cycle counts once."""
        heights: dict[str, int] = {}
        # A room reaches more rooms than each one below it, so that those are measured first.
        for room in sorted(self.rooms, key=lambda room: len(self.reach[room] | {room})):
            below = [heights[far] for far in self.reach[room] if room not in self.reach[far]]
            heights[room] = 1 + max(below, default=0)
        return max(heights.values(), default=0)
