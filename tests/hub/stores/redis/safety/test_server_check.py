"""Before a hub works on a server, it is looked at; `hub doctor` shows all of what is seen."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.clock import Clock, SystemClock
from hub.errors import HubError
from hub.findings import EMPTY_STORE, Finding
from hub.stores import StoreOptions, open_store
from hub.stores.redis.safety.server_check import FAR_SECONDS, _version, examine
from hub.testing.stores.samples import claim, publish
from tests.redis_servers import VALKEY, RedisCluster, RedisServer, free_port, new_prefix, wait_until

LUA = Path(__file__).parents[5] / "hub/stores/redis/lua"


@contextmanager
def server(directory: Path, **settings: str) -> Iterator[RedisServer]:
    with RedisServer(VALKEY, directory, **settings) as running:
        yield running


class Distance(SystemClock):
    """Gives the time of day, and has as many seconds pass between two looks at monotonic time as it is told: how long
    a round trip takes on a busy machine decides nothing."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self._seconds = seconds
        self._passed = 0.0

    def monotonic(self) -> float:
        self._passed += self._seconds
        return self._passed


async def found(url: str, *, wait_replicas: int = 0, clock: Clock | None = None) -> dict[str, Finding]:
    findings = await examine(url, clock or Distance(), wait_replicas)
    return {finding.check: finding for finding in findings}


async def refusal(url: str) -> str:
    with pytest.raises(HubError) as refused:
        async with open_store(url, SystemClock()):
            pass
    return refused.value.detail


async def warnings(url: str, options: StoreOptions) -> list[str]:
    with capture_logs() as logs:
        async with open_store(url, Distance(), options):
            pass
    return [line["seen"] for line in logs if line["log_level"] == "warning"]


async def test_a_sound_server_has_nothing_to_mend(valkey: RedisServer) -> None:
    url = valkey.url()
    assert (await found(url))[EMPTY_STORE].state == "ok"
    assert await warnings(url, StoreOptions()) == []
    findings = await found(url)
    assert list(findings) == [
        "redis",
        "redis role",
        "redis user",
        "redis format",
        "redis memory",
        "redis saves",
        "redis clock",
        "redis distance",
        "redis keys",
    ]
    assert {finding.state for finding in findings.values()} == {"ok"}
    assert re.fullmatch(r"Valkey \d+\.\d+\.\d+", findings["redis"].seen)
    assert "appendfsync everysec" in findings["redis saves"].seen


@pytest.mark.redis7
async def test_redis_is_told_from_valkey(redis7: RedisServer) -> None:
    findings = await found(redis7.url())
    assert findings["redis"] == Finding("redis", "ok", f"Redis {redis7.info('server')['redis_version']}")
    assert {finding.state for finding in findings.values()} == {"ok"}


async def test_a_sound_cluster_says_so(cluster: RedisCluster) -> None:
    finding = (await found(cluster.url()))["redis cluster"]
    assert (finding.state, finding.seen) == ("ok", "cluster_state is ok")


@pytest.mark.parametrize("version", ["6.2.14", "5.0.0", "6.0"])
def test_a_server_that_is_too_old_is_refused(version: str) -> None:
    finding = _version({"redis_version": version})
    assert (finding.state, finding.seen) == ("failed", f"Redis {version} is too old")
    assert "7.0" in finding.advice


async def test_a_server_that_evicts_is_refused_with_what_to_change(tmp_path: Path) -> None:
    with server(tmp_path / "server", maxmemory="100mb", maxmemory_policy="allkeys-lru") as evicting:
        assert "maxmemory-policy allkeys-lru" in await refusal(evicting.url())
        evicting.set(maxmemory_policy="noeviction")
        assert (await found(evicting.url()))["redis memory"].state == "ok"
        evicting.set(maxmemory="0", maxmemory_policy="volatile-ttl")
        assert (await found(evicting.url()))["redis memory"].state == "ok"


@pytest.mark.parametrize(("seconds", "state"), [(FAR_SECONDS * 0.99, "ok"), (FAR_SECONDS * 1.01, "warning")])
async def test_a_server_that_is_far_away_is_a_warning(seconds: float, state: str, valkey: RedisServer) -> None:
    finding = (await found(valkey.url(), clock=Distance(seconds)))["redis distance"]
    assert finding.state == state
    assert finding.seen == f"{seconds * 1000:.1f} ms for a round trip"


async def test_a_server_that_is_nearly_full_is_a_warning(tmp_path: Path) -> None:
    with server(tmp_path / "server") as full:
        full.set(maxmemory=str(int(full.info("memory")["used_memory"] * 1.1)))
        (warning,) = await warnings(full.url(), StoreOptions())
    assert warning.endswith("MiB in use")


@pytest.mark.parametrize(
    ("settings", "state", "loses"),
    [
        ({"appendfsync": "always"}, "ok", "is on its disk"),
        ({"appendfsync": "everysec"}, "ok", "the last second"),
        ({"appendfsync": "no"}, "warning", "half minute"),
        ({"appendonly": "no"}, "warning", "loses everything"),
        ({"appendonly": "no", "save": "3600 1"}, "warning", "after the last one"),
    ],
)
async def test_what_may_be_lost_is_said(settings: dict[str, str], state: str, loses: str, tmp_path: Path) -> None:
    with server(tmp_path / "server", **settings) as saving:
        finding = (await found(saving.url()))["redis saves"]
        told = await warnings(saving.url(), StoreOptions())
    assert finding.state == state
    assert loses in finding.seen
    assert told == ([finding.seen] if state == "warning" else [])


async def test_settings_that_a_server_keeps_to_itself_are_unknown_and_no_fault(tmp_path: Path) -> None:
    with server(tmp_path / "server") as managed, capture_logs() as logs:
        managed.ask("ACL", "SETUSER", "default", "-config")
        finding = (await found(managed.url()))["redis saves"]
    assert (finding.state, "appendfsync unknown" in finding.seen) == ("ok", True)
    assert [line for line in logs if line["log_level"] == "error"] == []


async def test_a_replica_is_refused_and_its_primary_named(tmp_path: Path) -> None:
    with server(tmp_path / "primary") as primary, server(tmp_path / "replica") as replica:
        replica.replicate(primary)
        assert f"replica of 127.0.0.1:{primary.port}" in await refusal(replica.url())
        findings = await found(primary.url(), wait_replicas=1)
        assert findings["redis replicas"] == Finding("redis replicas", "ok", "1 in touch, 1 waited for")


async def test_too_few_replicas_are_a_warning(valkey: RedisServer) -> None:
    (warning,) = await warnings(valkey.url(), StoreOptions(wait_replicas=2))
    assert "HUB_REDIS_WAIT_REPLICAS is 2" in warning


@pytest.fixture
def lone_node(tmp_path: Path) -> Iterator[RedisServer]:
    """A Cluster of one node, which has every slot."""
    with server(tmp_path / "server", cluster_enabled="yes", cluster_port=str(free_port())) as node:
        node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        wait_until(lambda: b"cluster_state:ok" in node.ask("CLUSTER", "INFO"))
        yield node


async def test_one_node_of_a_cluster_by_itself_is_refused(lone_node: RedisServer) -> None:
    assert "redis+cluster://" in await refusal(lone_node.url())


async def test_a_cluster_that_is_down_is_refused(lone_node: RedisServer) -> None:
    url = f"redis+cluster://127.0.0.1:{lone_node.port}"
    assert (await found(url))["redis cluster"].state == "ok"
    lone_node.ask("CLUSTER", "DELSLOTSRANGE", 0, 0)
    wait_until(lambda: b"cluster_state:fail" in lone_node.ask("CLUSTER", "INFO"))
    assert "Redis Cluster has no working node" in await refusal(url)


async def test_what_a_user_may_not_do_is_named_with_how_to_allow_it(tmp_path: Path) -> None:
    with server(tmp_path / "server") as guarded:
        guarded.ask("ACL", "SETUSER", "hub", "on", ">sesame", "~{hub}*", "+@all", "-xadd", "-zadd", "-config")
        url = guarded.url("hub").replace("redis://", "redis://hub:sesame@")
        detail = await refusal(url)
        assert "hub may not run XADD, ZADD on {hub}*. ACL SETUSER hub " in detail
        assert "sesame" not in detail
        guarded.ask("ACL", "SETUSER", "hub", "+xadd", "+zadd")
        async with open_store(url, SystemClock()):
            pass
        elsewhere = guarded.url("other").replace("redis://", "redis://hub:sesame@")
        assert "{other}*" in await refusal(elsewhere)


async def test_the_advised_rights_are_enough(tmp_path: Path) -> None:
    with server(tmp_path / "server") as guarded:
        guarded.ask("ACL", "SETUSER", "hub", "on", ">sesame", "~elsewhere", "+@all")
        url = guarded.url("hub").replace("redis://", "redis://hub:sesame@")
        finding = (await found(url))["redis user"]
        assert (finding.state, "may not run scripts" in finding.seen) == ("failed", True)
        guarded.ask("ACL", "SETUSER", "hub", "reset", "on", ">sesame")
        guarded.ask(*finding.advice.split())
        assert {one.state for one in (await found(url)).values()} == {"ok"}
        async with open_store(url, SystemClock()) as store:
            sent = await publish(store, "sub_1")
            assert [one.event for one in await claim(store, "sub_1")] == [sent]


def test_every_command_that_the_scripts_call_is_tried() -> None:
    called = {
        command
        for path in LUA.rglob("*.lua")
        for command in re.findall(r"redis\.p?call\('([A-Z]+)'|local command = \{ '([A-Z]+)'", path.read_text())
        for command in command
        if command
    }
    assert called - set(re.findall(r"\{ '([A-Z]+)'", (LUA / "command_probe.lua").read_text())) == set()


class Ahead(SystemClock):
    def now(self) -> datetime:
        return super().now() + timedelta(hours=1)


async def test_a_machine_whose_clock_is_not_the_servers_is_a_warning(valkey: RedisServer) -> None:
    finding = (await found(valkey.url(), clock=Ahead()))["redis clock"]
    assert (finding.state, "3600 s apart" in finding.seen) == ("warning", True)


async def test_time_that_is_moved_by_hand_is_a_warning(valkey: RedisServer) -> None:
    url = valkey.url(prefix := new_prefix())
    valkey.ask("HSET", f"{{{prefix}}}:clock", "offset", 3_600_000)
    finding = (await found(url))["redis clock"]
    assert (finding.state, "offset 3600000" in finding.seen) == ("warning", True)
