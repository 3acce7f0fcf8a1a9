"""The scripts in `lua/`, and what Python tells them at build time."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from hub.stores import gate
from hub.stores.redis.client.scripts import Scripts, Value

CONSTANTS: Final[Mapping[str, Value]] = {
    # The rules of lanes are written down in Python and in Lua; their numbers only once. See docs/decisions/0010.
    "THRESHOLD": gate.THRESHOLD,
    "FIRST_REST_SECONDS": gate.FIRST_REST_SECONDS,
    "LONGEST_REST_SECONDS": gate.LONGEST_REST_SECONDS,
    "REST_SPREAD": gate.REST_SPREAD,
    "CATCH_UP_SECONDS": gate.CATCH_UP_SECONDS,
    "FORGET_SECONDS": gate.FORGET_SECONDS,
    "SLACK_SECONDS": gate.SLACK_SECONDS,
}
"""By their names in Lua."""

SCRIPTS: Final = Scripts(files("hub.stores.redis") / "lua", CONSTANTS)
script: Final = SCRIPTS.read
