"""What waits and what is dead, counted in the indexes of what is open."""

from collections.abc import Collection, Mapping
from typing import Final

import apsw
import orjson

from hub.stores.base import Backlog
from hub.stores.milliseconds import instant_or_none
from hub.stores.sqlite.rows import fetch

_OPEN: Final = """
    SELECT json_array(channel, status, count(*), min(created_at)) AS row FROM deliveries INDEXED BY deliveries_open
    WHERE tenant = :tenant AND (status = 'pending' OR status = 'dead') GROUP BY channel, status
"""
_HELD: Final = """
    SELECT json_array(subscription_id, count(*)) AS row FROM deliveries INDEXED BY deliveries_due
    WHERE status = 'pending' AND subscription_id IN (SELECT value FROM json_each(:held)) GROUP BY subscription_id
"""
_OLDEST: Final = """
    SELECT created_at AS row FROM deliveries INDEXED BY deliveries_open
    WHERE tenant = :tenant AND status = 'pending' AND channel = :channel
        AND subscription_id NOT IN (SELECT value FROM json_each(:held))
    ORDER BY created_at LIMIT 1
"""


def read_backlog(
    connection: apsw.Connection, tenant: str, lanes: Mapping[str, str], held: Collection[str]
) -> dict[str, Backlog]:
    """What waits and what is dead, by channel."""
    values = {"tenant": tenant, "held": orjson.dumps([*held]).decode()}
    counted: dict[tuple[str, str], tuple[int, int]] = {}
    for channel, status, count, oldest in fetch(connection, _OPEN, {"tenant": tenant}):
        counted[channel, status] = (count, oldest)
    held_of: dict[str, int] = {}
    for lane, count in fetch(connection, _HELD, {"held": values["held"]}) if held else ():
        held_of[lanes[lane]] = held_of.get(lanes[lane], 0) + count
    found = {}
    for channel in {channel for channel, _ in counted}:
        waiting, oldest = counted.get((channel, "pending"), (0, None))
        kept = held_of.get(channel, 0)
        if kept:
            oldest = next(iter(fetch(connection, _OLDEST, {**values, "channel": channel})), None)
        dead = counted.get((channel, "dead"), (0, None))[0]
        found[channel] = Backlog(waiting - kept, kept, dead, instant_or_none(oldest))
    return found
