"""What lies in Redis, and what scripts make of it."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.scripts import Script
from hub.stores.redis.keyspace.codec import as_str_bytes, event_from, pack, packed_event
from tests.clock import START
from tests.hub.stores.redis.engines import engine_on
from tests.hub.stores.samples import event
from tests.redis_servers import RedisServer


@pytest.fixture
async def engine(valkey: RedisServer) -> AsyncIterator[Engine]:
    async with engine_on(valkey.url()) as engine:
        yield engine


@pytest.mark.parametrize("size", [0, 1, 255, 256, 65_535, 65_536, 1_000_000])
async def test_a_script_unpacks_disguised_bytes_as_they_were(engine: Engine, size: int) -> None:
    value = bytes(n % 256 for n in range(size))
    echo = Script("echo", "return cmsgpack.unpack(ARGV[1])[2]", "1" * 40)
    assert await engine.run(echo, pack(["before", as_str_bytes(value), "after"])) == value


def test_an_event_is_read_back_as_it_was() -> None:
    new = event(subject="ü", data='{"ü": 1.10}'.encode(), extensions={"count": 3}, expires_at=START)
    assert event_from(packed_event(new), None) == new
    at = b"%d" % (START.timestamp() * 1000)
    assert event_from(packed_event(new), at) == new.model_copy(update={"cancelled_at": START})


@pytest.mark.parametrize("damaged", [b"", b"\xff", b"\x01", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode({})])
def test_what_is_no_event_is_a_value_error(damaged: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        event_from(damaged, None)


def test_an_event_that_was_cut_off_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r".+"):
        event_from(packed_event(event())[:-3], None)
