"""Lua scripts, kept in files beside the code; each is one atomic step of the store."""

from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files
from typing import Final

_FOLDER: Final = files("hub.stores.redis") / "lua"


@dataclass(frozen=True, slots=True)
class Script:
    """A script's text, and the digest by which a server that has seen it knows it."""

    name: str
    text: str
    digest: str


def script(name: str, *libraries: str) -> Script:
    """The script `lua/<name>.lua`, with the functions of `lua/<library>.lua` before it, in this order.

    Where its first line is a shebang (`#!lua flags=…`, https://redis.io/docs/latest/develop/programmability/lua-api),
    that stays the first.
    """
    text = _read(name)
    shebang = ""
    if text.startswith("#!"):
        shebang, _, text = text.partition("\n")
        shebang += "\n"
    text = shebang + "\n".join([*map(_read, libraries), text])
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
