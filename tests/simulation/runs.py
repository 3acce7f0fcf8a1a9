"""Runs of a simulation by seed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import structlog

from hub.publishing import fanout
from tests.simulation import stores
from tests.simulation.world import OpenPorts, Outcome, World

HAPPENINGS: Final = 40
CHUNK: Final = 2
STORES: Final = ("model", "sqlite", "redis")


def simulate(seed: int, store: str, url: str = "") -> Outcome:
    """One simulation; of Redis at `url`, with a prefix that nothing else has."""
    with TemporaryDirectory(prefix="simulation-") as folder, _small():
        opened = _ports(store, Path(folder), url)
        processes = 1 if store == "sqlite" else 2
        return World(
            seed,
            opened,
            stores.read_all,
            processes=processes,
            happenings=HAPPENINGS,
            leases_go_by_time_of_day=store == "redis",
        ).run()


def _ports(store: str, folder: Path, url: str) -> OpenPorts:
    match store:
        case "model":
            return stores.model()
        case "sqlite":
            return stores.sqlite(folder)
        case "redis":
            return stores.redis(url)
    raise ValueError(f"no such store: {store}")


@contextmanager
def _small() -> Iterator[None]:
    """Fan-outs in small chunks, and no log of all that goes wrong on purpose."""
    chunk, config = fanout.CHUNK, structlog.get_config()
    # So that few subscriptions are several chunks.
    fanout.CHUNK = CHUNK
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    try:
        yield
    finally:
        fanout.CHUNK = chunk
        structlog.configure(**config)
