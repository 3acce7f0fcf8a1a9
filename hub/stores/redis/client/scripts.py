"""Lua scripts, built from files: a script, the libraries that it needs, and constants that Python knows.

A file names the libraries that it needs in its first line (after a shebang, if there is one):

    #!lua flags=allow-oom
    -- needs: key, gate

A library is a file in the folder `lib` that ends with `return <its own name>`. Libraries may need libraries. The built
text has the shebang, the constants that are used, each library once and after those that it needs, and the script.
Whatever a file makes is local: only what a library returns is seen by others, under the library's name.

A name that is none of these fails the build: made in the file, a library needed, a constant, or Lua's own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources.abc import Traversable
from typing import Final

Value = float | str | Sequence[str]
"""A constant: in Lua a number, a string, or a table of strings."""

_NEEDS: Final = re.compile(r"-- needs: (.+)\n")
_COMMENT: Final = re.compile(r"^ *--.*\n", re.MULTILINE)
_NAME: Final = re.compile(
    r"""([A-Za-z_]\w*)
    |[.:](?<!\.\.)\w+  # the field of something; after .. a name may stand
    |[{,]\s*\w+\s*=(?!=)  # a field of a table that is made
    |'(?:[^'\\\n]+|\\.)*'|"(?:[^"\\\n]+|\\.)*"|\[\[.*?\]\]  # strings
    |--[^\n]*  # a comment behind code
    |\d\w*
    """,
    re.ASCII | re.DOTALL | re.VERBOSE,
)
_LOCALS: Final = (
    re.compile(r"local function (\w+)", re.ASCII),
    re.compile(r"local (?!function\b)(\w+(?:, \w+)*)", re.ASCII),
    re.compile(r"for (\w+(?:, \w+)*)", re.ASCII),
    re.compile(r"function[ \w.]*\(([\w, .]*)\)", re.ASCII),
)
"""What makes names. Wherever in its file it does so: scopes are left to the server, whose Lua has no globals."""
_KEYWORDS: Final = (
    "and break do else elseif end false for function if in local nil not or repeat return then true until while"
)
_BUILTINS: Final = (
    "ARGV KEYS bit cjson cmsgpack error ipairs math next pairs pcall redis select string table tonumber tostring type"
    " unpack"
)
"""https://redis.io/docs/latest/develop/programmability/lua-api/"""
_LUA: Final = frozenset(["", *_KEYWORDS.split(), *_BUILTINS.split()])


class BadScript(Exception):
    """A script that cannot be built; the message names the file and what is wrong in it."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text, and the digest by which a server that has seen it knows it."""

    name: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class _Source:
    """A file, and which names it uses of others."""

    name: str
    shebang: str
    text: str
    needs: tuple[str, ...]
    constants: frozenset[str]


class Scripts:
    """Builds the scripts of a folder, for which some constants have values.

    Example:
        >>> scripts = Scripts(files("hub.stores.redis") / "lua", {"THRESHOLD": 10})
        >>> await engine.run(scripts.read("claim"), ...)
    """

    def __init__(self, folder: Traversable, constants: Mapping[str, Value]) -> None:
        self._folder = folder
        self._constants = constants
        self._libraries: dict[str, _Source] = {}
        self._names = {name.removesuffix(".lua") for name in (file.name for file in (folder / "lib").iterdir())}

    def read(self, name: str) -> Script:
        """The script `<name>.lua` of the folder. Raises `BadScript`."""
        return self.build(name, (self._folder / f"{name}.lua").read_text(encoding="utf-8"))

    def build(self, name: str, text: str) -> Script:
        """The script of a text. Raises `BadScript`."""
        source = self._source(name, text)
        libraries: dict[str, _Source] = {}
        for need in source.needs:
            self._gather(need, libraries, (name,))
        used = source.constants.union(*(library.constants for library in libraries.values()))
        built = "".join(
            (
                source.shebang,
                *(f"local {constant} = {_lua(self._constants[constant])}\n" for constant in sorted(used)),
                *(f"local {one.name} = (function()\n{one.text}\nend)()\n" for one in libraries.values()),
                source.text,
            )
        )
        return Script(name, built, sha1(built.encode(), usedforsecurity=False).hexdigest())

    def _gather(self, name: str, libraries: dict[str, _Source], path: tuple[str, ...]) -> None:
        """Add a library after those that it needs."""
        if name in path:
            raise BadScript(f"{path[0]}.lua: the libraries {' → '.join((*path[1:], name))} need each other")
        if name in libraries:
            return
        library = self._library(name)
        for need in library.needs:
            self._gather(need, libraries, (*path, name))
        libraries[name] = library

    def _library(self, name: str) -> _Source:
        if name not in self._libraries:
            text = (self._folder / "lib" / f"{name}.lua").read_text(encoding="utf-8")
            if not text.rstrip().endswith(f"\nreturn {name}"):
                raise BadScript(f"lib/{name}.lua: it must end with: return {name}")
            self._libraries[name] = self._source(name, text)
        return self._libraries[name]

    def _source(self, name: str, text: str) -> _Source:
        shebang, rest = "", text
        if text.startswith("#!"):
            shebang, _, rest = text.partition("\n")
            shebang += "\n"
        head = _NEEDS.match(rest)
        text = _COMMENT.sub("", rest)
        needs = tuple(head[1].split(", ")) if head else ()
        for need in needs:
            if need not in self._names:
                raise BadScript(f"{name}.lua: there is no library {need}")
        made = {name for pattern in _LOCALS for names in pattern.findall(text) for name in names.split(", ")}
        used = {*_NAME.findall(text)} - _LUA
        constants = frozenset(used & self._constants.keys() - made)
        self._check(name, needs, made, used - constants)
        return _Source(name, shebang, text, needs, constants)

    def _check(self, name: str, needs: Sequence[str], made: set[str], used: set[str]) -> None:
        if hidden := made.intersection(needs):
            raise BadScript(f"{name}.lua: the name of a library that it needs has another meaning: {_list(hidden)}")
        if idle := set(needs) - used:
            raise BadScript(f"{name}.lua: libraries that it needs but does not use: {_list(idle)}")
        unknown = used - made - set(needs)
        if missing := unknown & self._names:
            raise BadScript(f"{name}.lua: libraries that it uses but does not need: {_list(missing)}")
        if unknown:
            raise BadScript(f"{name}.lua: unknown names: {_list(unknown)}")


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _lua(value: Value) -> str:
    """A constant as Lua text."""
    if isinstance(value, str):
        # Escapes of characters have three decimal digits in Lua 5.1, and every byte can be written so.
        return "'" + "".join(chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\{b:03}" for b in value.encode()) + "'"
    if isinstance(value, int | float):
        return repr(value)
    return "{ " + ", ".join(map(_lua, value)) + " }"
