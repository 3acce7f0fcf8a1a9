"""The mark of the format in which a store was written, so that a version that does not know it touches nothing."""

from typing import Final

from hub.findings import EMPTY_STORE, Finding
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.errors import Denied
from hub.stores.redis.keyspace.codec import STORE_FORMAT
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script

_MARK: Final = script("format_mark")
_CONVERTED_AT_ONCE: Final = 100


async def format_finding(engine: Engine) -> Finding:
    """Whether this version knows the format of what is kept under the prefix, if anything is. Only reads."""
    try:
        mark = await engine.ask("HGET", KeyNames(engine.prefix).meta, "format")
        if mark is None and not await engine.ask("EXISTS", KeyNames(engine.prefix).meta):
            return Finding(EMPTY_STORE, "ok", f"nothing is kept under {engine.prefix}:* yet")
    except Denied as error:
        # The finding about the user says what is missing.
        return Finding("redis format", "ok", f"unknown: {error.detail}")
    # The first release wrote no mark.
    kept = int(mark or 1)
    if kept > STORE_FORMAT:
        return Finding(
            "redis format",
            "failed",
            f"what is kept under {engine.prefix} was written by a newer version of the hub"
            f" (format {kept}, this one knows {STORE_FORMAT})",
            "Install that version again, or restore the backup from before it.",
        )
    return Finding("redis format", "ok", f"format {kept}")


async def mark_format(engine: Engine) -> None:
    """Convert what an older version wrote, and mark the store with the format of this version."""
    while await engine.run(_MARK, _CONVERTED_AT_ONCE, repeat=True):
        pass
