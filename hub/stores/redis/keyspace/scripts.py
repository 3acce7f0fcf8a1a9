"""The scripts in `lua/`, and the constants that are built into them. See docs/decisions/0016."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

from hub.stores import gate
from hub.stores.base import FASTEST_PER_SECOND, SLOWEST_PER_SECOND
from hub.stores.redis.client.scripts import Scripts, Value
from hub.stores.redis.keyspace.codec import CLAIM_FIELDS, STORE_FORMAT
from hub.stores.stored import attempts, events

CONSTANTS: Final[Mapping[str, Value]] = {
    # The rules of lanes are written down in Python and in Lua; their numbers only once. See docs/decisions/0010.
    "THRESHOLD": gate.THRESHOLD,
    "FIRST_OPEN_SECONDS": gate.FIRST_OPEN_SECONDS,
    "LONGEST_OPEN_SECONDS": gate.LONGEST_OPEN_SECONDS,
    "OPEN_SPREAD": gate.OPEN_SPREAD,
    "CATCH_UP_SECONDS": gate.CATCH_UP_SECONDS,
    "FORGET_SECONDS": gate.FORGET_SECONDS,
    "SLACK_SECONDS": gate.SLACK_SECONDS,
    "SLOWEST_PER_SECOND": SLOWEST_PER_SECOND,
    "FASTEST_PER_SECOND": FASTEST_PER_SECOND,
    "STORE_FORMAT": STORE_FORMAT,
    "CLAIM_FIELDS": CLAIM_FIELDS,
    # Where a member stands in a stored event or attempt, such as EVENT_TENANT.
    **{f"EVENT_{name.upper()}": place for place, name in enumerate(events.fields, 1)},
    **{f"ATTEMPT_{name.upper()}": place for place, name in enumerate(attempts.fields, 1)},
}
"""By their names in Lua."""

SCRIPTS: Final = Scripts(files("hub.stores.redis") / "lua", CONSTANTS)
script: Final = SCRIPTS.read
