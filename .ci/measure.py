"""Measure the source tree: sizes, rooms and the arrows between them, exceptions from the lints, names.

`make measure` prints a table. Where a limit is passed it names each place and exits with status 1: too many loose
modules, an import against the order of the layers, a cycle, an exception without a reason, a word that was replaced.
See docs/decisions/0012.
"""

import argparse
import re
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from measuring.exceptions import in_code, in_settings
from measuring.rooms import Contract, House, contracts
from measuring.source import Source, is_reason, sources
from measuring.words import MODULES, NAMES, ONCE, PARTS, SCRIPTS

MAIN = "hub"
PACKAGES = (MAIN, "channels", "schedules")
LINTED = (*PACKAGES, "tests", "benchmarks", "examples", "docs", ".ci")
"""Where an exception from the lints needs a reason."""
STORES = f"{MAIN}/stores"
LOOSE_LIMIT = 12
"""Modules directly in the main package. Another one belongs into a room with a name."""
LONG_MODULE = 300
OPENED = ("stores",)
"""Rooms so large that each package in them counts as a room."""

_WORDS = re.compile(r"_+|(?<=[a-z0-9])(?=[A-Z])")


class Finding(NamedTuple):
    """Something that the project does not allow, and where it is."""

    place: str
    text: str


class Report:
    """The rows of the table, and what is not allowed."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []
        self.findings: list[Finding] = []

    def add(self, name: str, value: object, findings: Iterable[Finding] = ()) -> None:
        """A row, with what it found. The same finding counts once."""
        self.rows.append((name, str(value)))
        self.findings.extend(dict.fromkeys(findings))

    def __str__(self) -> str:
        width = max(len(name) for name, _ in self.rows)
        rows = [f"{name:{width}}  {value}" for name, value in self.rows]
        found = [f"{place}: {text}" for place, text in self.findings]
        return "\n".join([*rows, *(["", *found, f"{len(found)} findings"] if found else [])])


def measure(root: Path) -> Report:
    """Measure the tree below this directory."""
    report = Report()
    files = sources(root, PACKAGES)
    add_sizes(report, files)
    add_rooms(report, House(MAIN, files, OPENED), list(contracts(tomllib.loads((root / "pyproject.toml").read_text()))))
    most = ", ".join(f"{largest_folder(root / STORES, kind)} .{kind}" for kind in ("py", "lua"))
    report.add("files in the largest folder of a store", most)
    add_exceptions(report, root)
    names = [*replaced_names(files), *replaced_files(root, files), *repeated_names(files)]
    report.add("replaced words in names", len(dict.fromkeys(names)), names)
    return report


def add_sizes(report: Report, files: list[Source]) -> None:
    functions = sorted(length for file in files for length in file.function_lengths()) or [0]
    high = functions[int(len(functions) * 0.95)]
    report.add("functions: median, 95th, longest", f"{median(functions):g}, {high}, {functions[-1]} lines")
    long = [file.place for file in files if len(file.lines) > LONG_MODULE]
    report.add(f"modules over {LONG_MODULE} lines", " ".join([f"{len(long)} of {len(files)}", *long]))
    lines = sum(len(file.lines) for file in files)
    comments = sum(is_reason(comment) for file in files for comment in file.comments.values())
    report.add("lines with a comment", f"{comments / max(lines, 1):.1%}")


def add_rooms(report: Report, house: House, layers: list[Contract]) -> None:
    loose = [Finding(file.place, "a loose module: put it into a room") for file in house.loose]
    too_many = loose if len(loose) > LOOSE_LIMIT else []
    report.add(f"loose modules in {MAIN}/", f"{len(loose)} of at most {LOOSE_LIMIT}", too_many)
    report.add("rooms, floors", f"{len(house.rooms)}, {house.floors}")
    report.add("arrows", sum(len(ends) for ends in house.arrows.values()))
    up = [
        Finding(found.place, f"{found.importer} imports {found.imported}, which is not in a lower row")
        for found in house.imports
        if any(contract.is_up(found) for contract in layers)
    ]
    report.add("arrows up", len(up), up)
    cycles = [Finding(" ↔ ".join(group), "these rooms import each other in a cycle") for group in house.cycles]
    report.add("cycles", len(cycles), cycles)


def largest_folder(stores: Path, kind: str) -> int:
    """How many files of a kind lie directly in the folder that has most of them."""
    folders = (path for path in stores.rglob("*") if path.is_dir())
    return max((len(list(folder.glob(f"*.{kind}"))) for folder in folders), default=0)


def add_exceptions(report: Report, root: Path) -> None:
    made = [*in_code(sources(root, LINTED)), *in_settings(root / "pyproject.toml")]
    bare = [Finding(place, "an exception from a lint without a reason") for place, reasoned in made if not reasoned]
    report.add("exceptions from lints", f"{len(made)}, {len(bare)} without a reason", bare)


def replaced_names(files: Iterable[Source]) -> Iterator[Finding]:
    """Names with a word that has another one now; local variables may be any word of their own."""
    for file in files:
        for line, kind, name in file.names():
            place = f"{file.place}:{line}"
            yield from (Finding(place, f"`{name}`: say {better}") for better in _in_parts(name))
            if kind != "variable" and name in NAMES:
                yield Finding(place, f"`{name}`: say {NAMES[name]}")


def replaced_files(root: Path, files: Iterable[Source]) -> Iterator[Finding]:
    for file in files:
        name = file.module.rpartition(".")[2]
        yield from (Finding(file.place, f"`{name}`: say {better}") for better in _in_parts(name))
        if name in MODULES:
            yield Finding(file.place, f"`{name}`: say {MODULES[name]}")
    for path in sorted((root / MAIN).rglob("*.lua")):
        if path.stem in SCRIPTS:
            yield Finding(path.relative_to(root).as_posix(), f"`{path.stem}`: say {SCRIPTS[path.stem]}")


def _in_parts(name: str) -> list[str]:
    return [PARTS[word.lower()] for word in _WORDS.split(name) if word.lower() in PARTS]


def repeated_names(files: Iterable[Source]) -> Iterator[Finding]:
    """Classes, and types by another name, of which there may be one."""
    places = defaultdict(set)
    for file in files:
        for line, kind, name in file.names():
            if kind != "variable" and name in ONCE:
                places[name].add(f"{file.place}:{line}")
    for name, found in places.items():
        if len(found) > 1:
            yield from (Finding(place, f"`{name}` names more than one thing") for place in sorted(found))


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the tree to measure")
    report = measure(options.parse_args().root)
    sys.stdout.write(f"{report}\n")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
