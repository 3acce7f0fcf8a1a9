"""Which test belongs to which module, and whether a test reaches a module at all; told from the files alone."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGES = ("hub", "channels", "schedules")
_HELPERS = ("tests/", "hub/testing/")
"""What tests are made of: whatever it names, a test reaches."""
_FRONTS = {"hub/app.py": "hub/api"}
"""A module that is the way into a room without standing in it."""

_IMPORT = re.compile(r"^\s*(?:from (\S+) import (\([^)]*\)|.*)|import (\S+))", re.MULTILINE)
"""Also in a program that stands in a string, as another process runs it."""
_NAME = re.compile(r"""["']((?:hub|channels|schedules)(?:\.\w+)+)(?::\w+)?["']""")
_COMMENT = re.compile(r"#.*")


class Layout:
    """The modules and tests below a directory. Places are paths relative to it; folders end with `/`."""

    def __init__(self, root: Path) -> None:
        files = [path for top in (*PACKAGES, "tests") for path in sorted((root / top).rglob("*.py"))]
        self._texts = {path.relative_to(root).as_posix(): path.read_text() for path in files}
        self.modules = [place for place in self._texts if not place.startswith("tests/") and self._has_code(place)]
        self.tests = [place for place in self._texts if place.rpartition("/")[2].startswith("test_")]
        self._named = cache(self._find_named)
        self.reached = cache(self._find_reached)

    def _has_code(self, place: str) -> bool:
        """Whether there is anything to test: not in a package that only gives names on from its modules."""
        only_names = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
        return not place.endswith("/__init__.py") or not all(
            isinstance(node, only_names) for node in ast.parse(self._texts[place]).body
        )

    def own_test(self, module: str) -> str:
        """Where the test of a module stands: `tests/hub/cli/test_tail.py` for `hub/cli/tail.py`, and for what a package
        itself holds `tests/hub/cli/test_cli.py`."""
        room, _, name = module.rpartition("/")
        name = f"{room.rpartition('/')[2]}.py" if name == "__init__.py" else name
        return f"tests/{room}/test_{name}"

    # -- what is wrong -------------------------------------------------------------------------------------------------

    def problems(self, covered_by: Mapping[str, Iterable[str]], whole_room: Mapping[str, str]) -> list[str]:
        """What is wrong with the tree and these tables, each as a line that begins with the place."""
        return [
            *self._problems_of_modules(covered_by),
            *(problem for line, covers in covered_by.items() for problem in self._problems_of_line(line, covers)),
            *self._problems_of_tests(covered_by, whole_room),
        ]

    def _problems_of_modules(self, covered_by: Mapping[str, Iterable[str]]) -> Iterator[str]:
        for module in self.modules:
            own = self.own_test(module)
            if own not in self._texts:
                if not any(_holds(line, module) for line in covered_by):
                    yield f"{module}: has no {own}, and no line that says which test covers it"
            elif module not in self.reached(own):
                yield f"{own}: does not reach {module}, whose test it is by its name"

    def _problems_of_line(self, line: str, covers: Iterable[str]) -> Iterator[str]:
        modules = {module for module in self.modules if _holds(line, module)}
        without = {module for module in modules if self.own_test(module) not in self._texts}
        if not modules:
            yield f"{line}: is no module, or no folder with modules"
        elif not without:
            yield f"{line}: has tests of its own, and needs no line"
        for cover in covers:
            tests = [test for test in self.tests if _holds(cover, test)]
            reached = {module for test in tests for module in self.reached(test)}
            if not tests:
                yield f"{line}: {cover} is no test"
            elif not reached & modules:
                yield f"{line}: {cover} does not reach it"
            without -= reached
        yield from (f"{module}: is reached by no test that the line {line} names" for module in sorted(without))

    def _problems_of_tests(
        self, covered_by: Mapping[str, Iterable[str]], whole_room: Mapping[str, str]
    ) -> Iterator[str]:
        own = {self.own_test(module) for module in self.modules}
        lines = [*whole_room, *(cover for covers in covered_by.values() for cover in covers)]
        for test in self.tests:
            mirrors = test.startswith(tuple(f"tests/{package}/" for package in PACKAGES))
            if mirrors and test not in own and not any(_holds(line, test) for line in lines):
                yield f"{test}: is the test of no module, covers none, and is not one of a whole room"
        for line, reason in whole_room.items():
            tests = {test for test in self.tests if _holds(line, test)}
            if not tests:
                yield f"{line}: is no test"
            elif tests <= own:
                yield f"{line}: is the test of a module, and needs no line"
            elif not reason:
                yield f"{line}: needs a reason"

    # -- what a test reaches -------------------------------------------------------------------------------------------

    def _find_reached(self, test: str) -> frozenset[str]:
        """What a test, its fixtures and the helpers of both name, and what that names in its own room."""
        reached: set[str] = set()
        ahead = [test, *self._fixtures(test)]
        while ahead:
            place = ahead.pop()
            if place not in reached:
                reached.add(place)
                named = self._named(place)
                ahead += named if place.startswith(_HELPERS) else [one for one in named if _room(one) == _room(place)]
        return frozenset(reached)

    def _fixtures(self, test: str) -> list[str]:
        """Not those of `tests/` itself, which every test has and few use."""
        folders = [parent.as_posix() for parent in Path(test).parents]
        return [place for folder in folders if folder != "tests" if (place := f"{folder}/conftest.py") in self._texts]

    def _find_named(self, place: str) -> frozenset[str]:
        """The files whose names stand in a file: in imports, and in strings."""
        text = self._texts[place]
        names = {*_NAME.findall(text)}
        for source, imported, whole in _IMPORT.findall(text):
            names.add(whole or source)
            names.update(f"{source}.{name}" for name in re.findall(r"\w+", _COMMENT.sub("", imported)))
        return frozenset(file for name in names if (file := self._file(name)) is not None)

    def _file(self, name: str) -> str | None:
        """The file that a dotted name leads into."""
        while name:
            stem = name.replace(".", "/")
            for place in (f"{stem}.py", f"{stem}/__init__.py"):
                if place in self._texts:
                    return place
            name = name.rpartition(".")[0]
        return None


def _holds(place: str, file: str) -> bool:
    return file.startswith(place) if place.endswith("/") else file == place


def _room(place: str) -> str:
    """The folder in the main package; a loose module of it, and each other package, is a room of its own."""
    parts = place.split("/")
    return _FRONTS.get(place) or ("/".join(parts[:2]) if parts[0] == "hub" else parts[0])
