"""What waits and what is dead, counted in the indexes of statuses and lanes."""

from collections.abc import Collection, Mapping

from hub.models import Status
from hub.stores.base import Backlog
from hub.stores.milliseconds import instant
from hub.stores.redis.client.connection import Argument
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.keyspace.index_scan import STEP, at_of, at_once, parts
from hub.stores.redis.keyspace.key_names import KeyNames


async def read_backlog(
    engine: Engine, tenant: str, lanes: Mapping[str, str], held: Collection[str]
) -> dict[str, Backlog]:
    """What waits and what is dead, by channel."""
    keys, held_of, found = KeyNames(engine.prefix), dict[str, int](), dict[str, Backlog]()
    for some in parts(sorted(held), STEP):
        counts = await at_once(engine, [("ZCARD", keys.by_lane(tenant, lane, Status.PENDING)) for lane in some])
        for lane, count in zip(some, counts, strict=True):
            held_of[lanes[lane]] = held_of.get(lanes[lane], 0) + count
    for channel in sorted(name.decode() for name in await engine.ask("SMEMBERS", keys.channels(tenant))):
        pending = keys.by_status(tenant, channel, Status.PENDING)
        dead_of = keys.by_status(tenant, channel, Status.DEAD)
        waiting, dead, oldest = await at_once(
            engine, [("ZCARD", pending), ("ZCARD", dead_of), ("ZRANGE", pending, 0, 0)]
        )
        kept = min(held_of.get(channel, 0), waiting)
        if kept:
            flowing = [lane for lane, of in lanes.items() if of == channel and lane not in held]
            oldest = await _oldest(engine, [keys.by_lane(tenant, lane, Status.PENDING) for lane in flowing])
        if waiting or dead:
            found[channel] = Backlog(waiting - kept, kept, dead, instant(min(map(at_of, oldest))) if oldest else None)
    return found


async def _oldest(engine: Engine, indexes: list[str]) -> list[bytes]:
    """The oldest member of each index that has one."""
    oldest: list[bytes] = []
    for some in parts(indexes, STEP):
        commands: list[tuple[Argument, ...]] = [("ZRANGE", index, 0, 0) for index in some]
        oldest += [member for members in await at_once(engine, commands) for member in members]
    return oldest
