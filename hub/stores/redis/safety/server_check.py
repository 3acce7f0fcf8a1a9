"""Whether a server keeps what the hub gives it: checked when the store is opened, and by `hub doctor`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog

from hub.clock import Clock
from hub.errors import HubError
from hub.findings import Finding, State
from hub.stores.redis.client.engine import Engine, Reader
from hub.stores.redis.client.errors import Denied, Lost, Refused
from hub.stores.redis.client.url import read_address
from hub.stores.redis.keyspace.key_names import KeyNames
from hub.stores.redis.keyspace.scripts import script
from hub.stores.redis.safety.format_mark import format_finding

OLDEST: Final = (7, 0)
"""Older ones do not know flags of scripts, by which the hub goes on delivering when memory is full."""
FAR_SECONDS: Final = 0.02
SKEW_WARNING_SECONDS: Final = 5.0
NEARLY_FULL: Final = 0.8
_PINGS: Final = 3
_MIB: Final = 1024 * 1024
_PROBE: Final = script("command_probe")
_log = structlog.get_logger("hub.store")

Info = Mapping[str, str]
"""What INFO says, by name."""


async def ensure_usable(engine: Engine, wait_replicas: int) -> None:
    """Raises `HubError` where the hub must not work on this server, and logs what its operator should know."""
    for finding in await inspect(engine, wait_replicas):
        if finding.state == "failed":
            raise HubError(f"The Redis server cannot be used: {finding.seen}. {finding.advice}")
        if finding.state == "warning":
            _log.warning("store.check_warned", check=finding.check, seen=finding.seen, advice=finding.advice)


async def examine(url: str, clock: Clock, wait_replicas: int) -> Sequence[Finding]:
    """The findings about the server of a URL. Calls that fail are not made again. Raises `HubError`."""
    engine = Engine(read_address(url), clock)
    engine.patience_seconds = 0.0
    try:
        return await inspect(engine, wait_replicas)
    finally:
        await engine.close()


async def inspect(engine: Engine, wait_replicas: int = 0) -> Sequence[Finding]:
    """The findings about the server, the gravest first. What it does not answer passes. Raises `Unavailable`."""
    reader = engine.reader()
    try:
        info = _info(await reader.ask("INFO"))
        findings = [_version(info), _role(info)]
        if any(finding.state == "failed" for finding in findings):
            return findings
        config = await _config(reader)
        return [
            *findings,
            await _user(engine),
            await format_finding(engine),
            _memory(info),
            _persistence(info, config),
            *await _cluster(engine, reader, info),
            *_replicas(info, wait_replicas),
            await _clock(engine, reader),
            await _latency(engine, reader),
            _keys(engine, info),
        ]
    finally:
        await reader.close()


def _info(reply: bytes) -> Info:
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    return {name: value for name, separator, value in lines if separator}


async def _config(reader: Reader) -> Info:
    """The settings of interest, as far as the server shows them; managed servers often do not."""
    found: dict[str, str] = {}
    for name in ("appendfsync", "save"):
        reply = await _answer(reader, "CONFIG", "GET", name)
        found |= {name: reply[1].decode()} if reply else {}
    return found


async def _answer(reader: Reader, *command: str) -> Any:
    """The reply to a command, or None where this server does not have it or this user may not run it."""
    try:
        return await reader.ask(*command)
    except (Lost, Refused):
        raise
    except HubError:
        return None


def _version(info: Info) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    text = info.get("valkey_version") or info.get("redis_version", "0")
    numbers = tuple(int(part) for part in info.get("redis_version", "0").split(".")[:2] if part.isdigit())
    if numbers < OLDEST:
        return Finding("redis", "failed", f"{name} {text} is too old", "Install Redis 7.0, Valkey 7.2, or a newer one.")
    return Finding("redis", "ok", f"{name} {text}")


def _role(info: Info) -> Finding:
    if info.get("role") == "slave":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        return Finding(
            "redis role",
            "failed",
            f"this server is a replica of {primary}",
            "Name the primary in HUB_STORE_URL, or the sentinels (redis+sentinel://), which know the primary.",
        )
    return Finding("redis role", "ok", "primary")


async def _user(engine: Engine) -> Finding:
    name = engine.address.options.get("username", "default")
    advice = f"ACL SETUSER {name} ~{engine.prefix}* +@all -@dangerous +info +config|get +cluster|slots +cluster|info"
    try:
        denied = [part.decode() for part in await engine.run(_PROBE, repeat=True)]
        await engine.ask_all([("MULTI",), ("EXEC",), ("WAIT", 0, 1)])
    except Denied:
        return Finding("redis user", "failed", f"{name} may not run scripts on {engine.prefix}*", advice)
    if denied:
        return Finding("redis user", "failed", f"{name} may not run {', '.join(denied)} on {engine.prefix}*", advice)
    return Finding("redis user", "ok", f"{name} may do all that the hub needs")


def _memory(info: Info) -> Finding:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    policy = info.get("maxmemory_policy", "noeviction")
    if not limit:
        return Finding("redis memory", "ok", f"{used // _MIB:,} MiB in use, no limit")
    seen = f"{used // _MIB:,} of {limit // _MIB:,} MiB in use"
    if policy != "noeviction":
        return Finding(
            "redis memory",
            "failed",
            f"when memory is full it removes keys by itself (maxmemory-policy {policy}), and with them accepted events",
            "Set maxmemory-policy noeviction, in redis.conf and by CONFIG SET; for a cache use another server.",
        )
    if used > NEARLY_FULL * limit:
        return Finding(
            "redis memory", "warning", seen, "Raise maxmemory, or lower HUB_RETENTION; full, it takes nothing."
        )
    return Finding("redis memory", "ok", seen)


def _persistence(info: Info, config: Info) -> Finding:
    if info.get("aof_enabled") == "1":
        return _append_only(config.get("appendfsync", "unknown"))
    save = config.get("save")
    if save == "":
        seen = "nothing is saved (appendonly no, no save): a restart of the server loses everything"
    elif save is None:
        seen = "there is no append-only file: a crash of the server loses what no snapshot has, if it makes any"
    else:
        seen = f"there are only snapshots (save {save}): a crash of the server loses all that came after the last one"
    return Finding("redis saves", "warning", seen, "Set appendonly yes, and appendfsync everysec or always.")


def _append_only(fsync: str) -> Finding:
    losses: Mapping[str, tuple[State, str]] = {
        "always": ("ok", "what was accepted is on its disk"),
        "everysec": (
            "ok",
            "a power cut may lose the last second or two, and so may a crash of the server while its disk is slow",
        ),
        "no": ("warning", "a power cut may lose the last half minute"),
    }
    state, loss = losses.get(fsync, ("ok", "what a power cut may lose is the provider's to say"))
    advice = "Set appendfsync everysec, or always." if state == "warning" else ""
    return Finding("redis saves", state, f"appendonly yes, appendfsync {fsync}: {loss}", advice)


async def _cluster(engine: Engine, reader: Reader, info: Info) -> Sequence[Finding]:
    if info.get("cluster_enabled") != "1":
        return ()
    if engine.address.kind != "redis+cluster":
        advice = "Use redis+cluster:// in HUB_STORE_URL, so that the hub's slot is found wherever it moves."
        return (Finding("redis cluster", "failed", "this server is a node of a Cluster", advice),)
    reply = await _answer(reader, "CLUSTER", "INFO")
    state = _info(reply or b"").get("cluster_state", "unknown")
    if state == "fail":
        return (Finding("redis cluster", "failed", f"cluster_state is {state}", "See CLUSTER INFO and CLUSTER NODES."),)
    return (Finding("redis cluster", "ok", f"cluster_state is {state}"),)


def _replicas(info: Info, wanted: int) -> Sequence[Finding]:
    there = int(info.get("connected_slaves", 0))
    if there < wanted:
        return (
            Finding(
                "redis replicas",
                "warning",
                f"{there} in touch, and HUB_REDIS_WAIT_REPLICAS is {wanted}: events are refused with 503",
                "Start them, or lower HUB_REDIS_WAIT_REPLICAS.",
            ),
        )
    return (Finding("redis replicas", "ok", f"{there} in touch, {wanted} waited for"),) if there or wanted else ()


async def _clock(engine: Engine, reader: Reader) -> Finding:
    moved = await _answer(reader, "HGETALL", KeyNames(engine.prefix).clock)
    if moved and not engine.clock.by_hand:
        written = b" ".join(moved).decode(errors="replace")
        seen = f"the hub's time here is not the server's but moved by hand ({engine.prefix}:clock has {written})"
        advice = f"Only tests write that key. Remove it: DEL {engine.prefix}:clock"
        return Finding("redis clock", "warning", seen, advice)
    earliest = engine.clock.now()
    reply = await _answer(reader, "TIME")
    latest = engine.clock.now()
    if reply is None:
        # The finding about the user says what is missing.
        return Finding("redis clock", "ok", "unknown")
    seconds, microseconds = reply
    theirs = datetime.fromtimestamp(int(seconds), UTC) + timedelta(microseconds=int(microseconds))
    # However long the answer took, the server's instant lies between these two where the clocks agree.
    apart = max(earliest - theirs, theirs - latest).total_seconds()
    if apart > SKEW_WARNING_SECONDS:
        seen = (
            f"the server's is {apart:.0f} s apart from this machine's; the hub's waits go by the server's, and what is"
            " shown by this machine's"
        )
        return Finding("redis clock", "warning", seen, "Turn on time synchronisation (NTP) on both.")
    return Finding("redis clock", "ok", "in step with the server's")


async def _latency(engine: Engine, reader: Reader) -> Finding:
    times = []
    for _ in range(_PINGS):
        started = engine.clock.monotonic()
        await reader.ask("PING")
        times.append(engine.clock.monotonic() - started)
    seen = f"{min(times) * 1000:.1f} ms for a round trip"
    if min(times) > FAR_SECONDS:
        return Finding(
            "redis distance", "warning", seen, "Run the hub near its server: an event waits for several of them."
        )
    return Finding("redis distance", "ok", seen)


def _keys(engine: Engine, info: Info) -> Finding:
    database: Any = engine.address.options.get("db", 0)
    counts = dict(part.partition("=")[::2] for part in info.get(f"db{database}", "").split(","))
    return Finding(
        "redis keys", "ok", f"{int(counts.get('keys') or 0):,} in database {database}; the hub's are {engine.prefix}:*"
    )
