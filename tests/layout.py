"""Which test belongs to which module, and whether a test reaches a module at all; told from the files alone."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGES = ("hub", "channels", "schedules")
_FRONTS = {"hub/app.py": "hub/api"}
"""A module that is the way into a room without standing in it."""
_NAMED = re.compile(r"(?m)(?:(?<=^from )|(?<=^import )|\A)(?:hub|channels|schedules)(?:\.\w+)+(?::\w+)?(?= |$)")


class Layout:
    """The modules and tests below a directory. Places are paths relative to it, folders end with `/`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        files = [path for top in (*PACKAGES, "tests") for path in sorted((root / top).rglob("*.py"))]
        self._trees = {path.relative_to(root).as_posix(): ast.parse(path.read_text()) for path in files}
        self.modules = [place for place in self._trees if not place.startswith("tests/") and self._has_code(place)]
        self.tests = [place for place in self._trees if place.rpartition("/")[2].startswith("test_")]
        self._named = cache(self._find_named)
        self.reached = cache(self._reached)

    def _has_code(self, place: str) -> bool:
        """Whether there is anything to test: not in a package that only gives names on from its modules."""
        only_names = (ast.Import, ast.ImportFrom, ast.Assign, ast.Expr)
        return not place.endswith("/__init__.py") or not all(
            isinstance(node, only_names) for node in self._trees[place].body
        )

    def own_test(self, module: str) -> str:
        """Where the test of a module stands: `tests/hub/cli/test_tail.py` for `hub/cli/tail.py`, and for what a package
        itself holds `tests/hub/cli/test_cli.py`."""
        room, _, name = module.rpartition("/")
        name = f"{room.rpartition('/')[2]}.py" if name == "__init__.py" else name
        return f"tests/{room}/test_{name}"

    def problems(self, covered_by: Mapping[str, Iterable[str]], whole_room: Mapping[str, str]) -> list[str]:
        """What is wrong with the tree and these tables, each as a sentence that begins with the place."""
        return [
            *self._problems_of_modules(covered_by),
            *(problem for line in covered_by.items() for problem in self._problems_of_line(*line)),
            *self._problems_of_tests(covered_by, whole_room),
        ]

    def _problems_of_modules(self, covered_by: Mapping[str, Iterable[str]]) -> Iterator[str]:
        for module in self.modules:
            own = self.own_test(module)
            if own in self._trees:
                if module not in self.reached(own):
                    yield f"{own}: does not reach {module}, whose test it is by its name"
            elif not any(_holds(line, module) for line in covered_by):
                yield f"{module}: has no {own}, and no line that says which test covers it"

    def _problems_of_line(self, line: str, covers: Iterable[str]) -> Iterator[str]:
        modules = [module for module in self.modules if _holds(line, module)]
        without = [module for module in modules if self.own_test(module) not in self._trees]
        if not modules:
            yield f"{line}: is no module or folder of modules, and needs no line"
        elif not without:
            yield f"{line}: has tests of its own, and needs no line"
        reached = set[str]()
        for cover in covers:
            tests = [test for test in self.tests if _holds(cover, test)]
            now = {module for test in tests for module in self.reached(test)}
            reached |= now
            if not tests:
                yield f"{line}: {cover} is no test"
            elif not now.intersection(without or modules):
                yield f"{line}: {cover} does not reach it"
        if len(without) > 1:
            yield from (
                f"{module}: no test that the line {line} names reaches it"
                for module in without
                if module not in reached
            )

    def _problems_of_tests(
        self, covered_by: Mapping[str, Iterable[str]], whole_room: Mapping[str, str]
    ) -> Iterator[str]:
        own = {self.own_test(module) for module in self.modules}
        covers = [cover for named in covered_by.values() for cover in named]
        for test in self.tests:
            mirrors = test.removeprefix("tests/").startswith(tuple(f"{package}/" for package in PACKAGES))
            if mirrors and test not in own and test not in whole_room and not any(_holds(c, test) for c in covers):
                yield f"{test}: is the test of no module, covers none, and is not one of a whole room"
        for test, reason in whole_room.items():
            if test not in self.tests:
                yield f"{test}: is no test, and needs no line"
            elif test in own:
                yield f"{test}: is the test of a module, and needs no line"
            elif not reason:
                yield f"{test}: needs a reason"

    # -- what a test reaches -----------------------------------------------------------------------------------------

    def _reached(self, test: str) -> frozenset[str]:
        """The modules that a test, its fixtures or the helpers of both name in an import or a string; and what these
        name in their own room."""
        reached: set[str] = set()
        ahead = [test, *self._fixtures(test)]
        while ahead:
            place = ahead.pop()
            if place in reached:
                continue
            reached.add(place)
            ahead += [named for named in self._named(place) if place.startswith("tests/") or _same_room(place, named)]
        return frozenset(reached)

    def _fixtures(self, test: str) -> list[str]:
        above = [parent.as_posix() for parent in Path(test).parents]
        return [place for folder in above if folder != "tests" if (place := f"{folder}/conftest.py") in self._trees]

    def _find_named(self, place: str) -> set[str]:
        """The modules whose names stand in a file: in imports, in strings, and in programs in strings."""
        names = set[str]()
        for node in ast.walk(self._trees[place]):
            match node:
                case ast.Import():
                    names.update(alias.name for alias in node.names)
                case ast.ImportFrom(module=str(module)):
                    names.update(f"{module}.{alias.name}" for alias in node.names)
                case ast.Constant(value=str(text)):
                    names.update(name.replace(":", ".") for name in _NAMED.findall(text))
                case _:
                    pass
        return {module for name in names if (module := self._module(name)) is not None}

    def _module(self, name: str) -> str | None:
        """The file that a dotted name leads into."""
        while name:
            stem = name.replace(".", "/")
            for place in (f"{stem}.py", f"{stem}/__init__.py"):
                if place in self._trees:
                    return place
            name = name.rpartition(".")[0]
        return None


def _holds(place: str, file: str) -> bool:
    return file.startswith(place) if place.endswith("/") else file == place


def _same_room(place: str, other: str) -> bool:
    return _room(place) == _room(other)


def _room(place: str) -> str:
    """The first folder in the main package, and each other package as a whole; a loose module is a room of its own."""
    if place in _FRONTS:
        return _FRONTS[place]
    parts = place.split("/")
    return "/".join(parts[:2]) if parts[0] == "hub" else parts[0]
