"""Runs of a simulation by seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog

from hub.publishing import fanout
from tests.redis_servers import new_prefix
from tests.simulation import stores
from tests.simulation.world import OpenPorts, Outcome, World

HAPPENINGS: Final = 40
CHUNK: Final = 2
STORES: Final = ("model", "sqlite", "redis")


def simulate(seed: int, store: str, redis_url: str = "") -> Outcome:
    """One simulation; `redis_url` is the address of a server, without a prefix."""
    with TemporaryDirectory(prefix="simulation-") as folder, _small():
        opened = _ports(store, Path(folder), redis_url)
        processes = 1 if store == "sqlite" else 2
        return World(seed, opened, stores.read_all, processes=processes, happenings=HAPPENINGS).run()


def _ports(store: str, folder: Path, redis_url: str) -> OpenPorts:
    match store:
        case "model":
            return stores.model()
        case "sqlite":
            return stores.sqlite(folder)
        case "redis":
            return stores.redis(f"{redis_url}?prefix={new_prefix()}")
    raise ValueError(f"no such store: {store}")


@contextmanager
def _small() -> Iterator[None]:
    """Fan-outs in small chunks, and no log of all that goes wrong on purpose."""
    chunk, config = fanout.CHUNK, structlog.get_config()
    fanout.CHUNK = CHUNK  # type: ignore[misc] # smaller, so that few subscriptions are several chunks
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        yield
    finally:
        fanout.CHUNK = chunk  # type: ignore[misc]
        structlog.configure(**config)
