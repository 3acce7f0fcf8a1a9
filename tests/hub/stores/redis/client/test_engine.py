"""Calls to Redis: what is repeated, what heals, what is said of trouble."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from hashlib import sha1
from pathlib import Path

import pytest
import trustme

from hub.errors import HubError, Unavailable
from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.errors import Lost
from hub.stores.redis.client.pool import AT_ONCE
from hub.stores.redis.client.scripts import Script
from hub.testing.patience import PATIENCE_SECONDS, patience, soon
from tests.faults.toxic_proxy import ToxicProxy
from tests.hub.stores.redis.engines import engine_on
from tests.loop_time import pass_loop_time
from tests.redis_servers import REDIS_7, VALKEY, RedisServer, free_port, new_prefix


def made(text: str) -> Script:
    return Script("made", text, sha1(text.encode()).hexdigest())


COUNT = made("return redis.call('INCR', KEYS[1] .. ':count')")


async def settled() -> None:
    """Both ends have heard that the connection is cut."""
    for _ in range(5):  # turns of the loop, which a busy machine may hold up for any time
        await asyncio.sleep(0.01)


@pytest.fixture
async def engine(valkey: RedisServer, proxy: ToxicProxy, prefix: str) -> AsyncIterator[Engine]:
    async with engine_on(valkey.url(prefix, port=proxy.port)) as engine:
        await engine.run(COUNT)
        yield engine


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(VALKEY, tmp_path / "own") as server:
        yield server


async def test_replies_come_as_they_are(engine: Engine) -> None:
    everything = made("return {ARGV[1], 1, false, {'a', {}}}")
    assert await engine.run(everything, b"\xff\x00") == [b"\xff\x00", 1, None, [b"a", []]]
    assert await engine.ask_all([("GET", f"{engine.prefix}:count"), ("HGETALL", "none")]) == [b"1", []]
    assert await engine.ask_all([]) == []


async def test_one_call_is_one_round_trip_once_the_server_knows_the_script(engine: Engine) -> None:
    before = engine.round_trips
    await engine.run(COUNT)
    await engine.ask("GET", f"{engine.prefix}:count")
    assert engine.round_trips == before + 2


async def test_a_script_that_the_server_forgot_is_given_to_it_again(engine: Engine, valkey: RedisServer) -> None:
    valkey.ask("SCRIPT", "FLUSH")
    assert await engine.run(COUNT) == 2


async def test_a_call_whose_answer_was_lost_is_repeated_where_that_does_no_harm(
    engine: Engine, proxy: ToxicProxy
) -> None:
    proxy.lose_answer(COUNT.digest.encode())
    assert await engine.run(COUNT, repeat=True) == 3


async def test_a_call_whose_answer_was_lost_is_not_repeated_blindly(engine: Engine, proxy: ToxicProxy) -> None:
    proxy.lose_answer(COUNT.digest.encode())
    with pytest.raises(Lost):
        await engine.run(COUNT)
    assert await engine.ask("GET", f"{engine.prefix}:count") == b"2"


async def test_a_call_that_was_never_sent_is_made_again_until_the_server_is_back(
    engine: Engine, proxy: ToxicProxy
) -> None:
    engine.patience_seconds = PATIENCE_SECONDS
    proxy.cut()
    await settled()
    call = asyncio.create_task(engine.run(COUNT))
    await asyncio.sleep(0.3)
    proxy.heal()
    assert await call == 2


async def test_while_the_server_is_away_for_long_each_call_is_refused_at_once(
    engine: Engine, proxy: ToxicProxy
) -> None:
    engine.patience_seconds = 0.3
    proxy.cut()
    await settled()
    with pytest.raises(Unavailable):
        await engine.run(COUNT)
    # From here on, a call that began to count again would take longer than the test waits.
    engine.patience_seconds = 2 * PATIENCE_SECONDS
    pass_loop_time(engine.patience_seconds)
    with pytest.raises(Unavailable) as refused:
        await soon(engine.run(COUNT))
    assert refused.value.retry_after
    proxy.heal()
    assert await engine.run(COUNT) == 2


async def test_a_network_that_goes_silent_is_noticed_and_the_call_is_made_again(
    engine: Engine, proxy: ToxicProxy
) -> None:
    engine.patience_seconds = PATIENCE_SECONDS
    proxy.stall()
    call = asyncio.create_task(engine.ask("GET", f"{engine.prefix}:count"))
    await asyncio.sleep(3.1)
    proxy.cut()
    proxy.heal()
    assert await call == b"1"


async def test_calls_go_on_after_the_server_was_killed_and_started_again(server: RedisServer) -> None:
    async with engine_on(server.url()) as engine:
        engine.patience_seconds = PATIENCE_SECONDS
        server.set(appendfsync="always")
        assert await engine.run(COUNT) == 1
        server.kill()
        call = asyncio.create_task(engine.run(COUNT, repeat=True))
        await asyncio.to_thread(server.start)
        assert await call == 2


async def test_a_cancelled_call_leaves_no_answer_for_the_next(engine: Engine, proxy: ToxicProxy) -> None:
    proxy.stall()
    call = asyncio.create_task(engine.run(made("return 'mine'")))
    await asyncio.sleep(0.05)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    proxy.heal()
    assert await engine.run(made("return 'other'")) == b"other"


async def test_many_calls_share_few_connections(engine: Engine, valkey: RedisServer) -> None:
    before = len(valkey.ask("CLIENT", "LIST").splitlines())
    slow = made("return redis.call('GET', KEYS[1] .. ':count')")
    answers = await asyncio.gather(*(engine.run(slow) for _ in range(200)))
    assert answers == [b"1"] * 200
    assert len(valkey.ask("CLIENT", "LIST").splitlines()) - before < AT_ONCE


async def test_a_reader_that_blocks_holds_up_no_call(engine: Engine, valkey: RedisServer) -> None:
    reader = engine.reader()
    blocked = asyncio.create_task(reader.ask("XREAD", "BLOCK", 2000, "STREAMS", f"{engine.prefix}:none", "$"))
    async with patience():
        # Before the server has the request, `$` would be after the entry that is to come.
        while not valkey.info("clients")["blocked_clients"]:
            await asyncio.sleep(0.005)
    assert await engine.run(COUNT) == 2
    await engine.ask("XADD", f"{engine.prefix}:none", "*", "a", "b")
    assert (await blocked)[0][1][0][1] == [b"a", b"b"]
    await reader.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"maxmemory": "1"}, "maxmemory"), ({"min-replicas-to-write": "1"}, "min-replicas-to-write")],
)
async def test_a_server_that_takes_no_writes_makes_the_hub_unavailable_and_says_why(
    server: RedisServer, settings: dict[str, str], said: str
) -> None:
    async with engine_on(server.url()) as engine:
        for script_ in (COUNT, made("#!lua\nreturn redis.call('INCR', KEYS[1] .. ':count')")):
            server.set(**settings)
            with pytest.raises(Unavailable, match=said) as refused:
                await engine.run(script_)
            assert refused.value.retry_after
            server.set(**dict.fromkeys(settings, "0"))
            await engine.run(script_)


async def test_a_replica_is_no_primary(server: RedisServer, tmp_path: Path) -> None:
    async with engine_on(server.url()) as engine:
        engine.patience_seconds = PATIENCE_SECONDS
        await engine.run(COUNT)
        server.ask("REPLICAOF", "127.0.0.1", "1")
        call = asyncio.create_task(engine.run(COUNT))
        await asyncio.sleep(0.2)
        server.ask("REPLICAOF", "NO", "ONE")
        assert await call == 2


async def test_what_the_server_does_not_understand_is_an_error_of_the_hub(engine: Engine) -> None:
    with pytest.raises(HubError) as failed:
        await engine.run(made("return redis.call('NOSUCHCOMMAND')"))
    assert not isinstance(failed.value, Unavailable)


async def test_a_wrong_password_is_said_at_once_and_not_repeated(server: RedisServer) -> None:
    server.set(requirepass="right")
    url = server.url().replace("redis://", "redis://:canary@")
    with pytest.raises(HubError, match="password") as refused:
        async with engine_on(url) as engine:
            await engine.run(COUNT)
    assert "canary" not in refused.value.detail
    async with engine_on(url.replace("canary", "right")) as engine:
        assert await engine.run(COUNT) == 1


@pytest.mark.redis7  # the wheel's Valkey is built without TLS
async def test_over_tls_the_server_must_be_who_it_says(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    port, given = free_port(), str(tmp_path / "server.pem")
    settings = {"tls_port": str(port), "tls_cert_file": given, "tls_key_file": given, "tls_auth_clients": "no"}
    with RedisServer(REDIS_7, tmp_path / "tls", **settings):
        url = f"rediss://127.0.0.1:{port}/0?prefix={new_prefix()}"
        async with engine_on(f"{url}&ssl_ca_certs={tmp_path / 'ca.pem'}") as engine:
            assert await engine.run(COUNT) == 1
        with pytest.raises(HubError, match="certificate is not trusted"):
            async with engine_on(url) as engine:
                await engine.run(COUNT)
