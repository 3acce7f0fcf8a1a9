"""The scripts of the store, as the server's own compiler sees them."""

from collections.abc import AsyncIterator
from importlib.resources import files

import pytest

from hub.stores.redis.client.engine import Engine
from hub.stores.redis.client.scripts import Script
from hub.stores.redis.keyspace.scripts import SCRIPTS
from tests.hub.stores.redis.engines import engine_on
from tests.hub.stores.redis.keyspace.lua_bytecode import globals_of
from tests.redis_servers import RedisServer

FOLDER = files("hub.stores.redis") / "lua"
NAMES = sorted(file.name.removesuffix(".lua") for file in FOLDER.iterdir() if file.name.endswith(".lua"))
LIBRARIES = sorted(file.name.removesuffix(".lua") for file in (FOLDER / "lib").iterdir())
BUILTINS = {
    *("ARGV", "KEYS", "cmsgpack", "ipairs", "math", "next", "pairs", "redis", "string"),
    *("pcall", "tonumber", "tostring", "type", "unpack"),
}
COMPILE = Script("compile", "return string.dump(loadstring(ARGV[1]))", "2" * 40)


@pytest.fixture
async def engine(valkey: RedisServer) -> AsyncIterator[Engine]:
    async with engine_on(valkey.url()) as engine:
        yield engine


async def globals_in(engine: Engine, text: str) -> frozenset[str]:
    # The compiler alone does not know the first line.
    return globals_of(await engine.run(COMPILE, "--" + text if text.startswith("#!") else text))


@pytest.mark.parametrize("name", NAMES)
async def test_a_script_uses_no_global_but_those_of_the_server(engine: Engine, name: str) -> None:
    assert await globals_in(engine, SCRIPTS.read(name).text) <= BUILTINS


async def test_the_compiler_tells_of_a_name_outside_of_its_scope(engine: Engine) -> None:
    text = "local function first() local inner = 1 return inner end\nreturn first() + inner"
    assert await globals_in(engine, SCRIPTS.build("scope", text).text) == {"inner"}


def test_every_library_is_needed_by_some_script() -> None:
    built = "".join("\n" + SCRIPTS.read(name).text for name in NAMES)
    assert [name for name in LIBRARIES if f"\nlocal {name} = (function()" not in built] == []
