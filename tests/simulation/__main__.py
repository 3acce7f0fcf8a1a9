"""Many seeds of the simulation, or one: `python -m tests.simulation --store sqlite --seed 42 --trace`."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.redis_servers import VALKEY, RedisServer
from tests.simulation.runs import STORES, simulate

SHARES = {"model": 100, "sqlite": 10, "redis": 5}
"""Of a hundred seeds, how many each store is tried with: a real one takes several times as long as the model."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--store", choices=STORES, help="only this one")
    parser.add_argument("--seeds", type=int, default=10_000, help="how many over the model; fewer over real stores")
    parser.add_argument("--seed", type=int, help="only this seed")
    parser.add_argument("--trace", action="store_true", help="print each step")
    given = parser.parse_args(arguments)
    failed = 0
    for store in STORES if given.store is None else (given.store,):
        share = 100 if given.store else SHARES[store]
        seeds = [given.seed] if given.seed is not None else range(1, given.seeds * share // 100 + 1)
        failed += _run(store, seeds, trace=given.trace)
    return 1 if failed else 0


def _run(store: str, seeds: Sequence[int], *, trace: bool) -> int:
    """How many seeds failed; each is printed."""
    failed = 0
    with _server(store) as server:
        for seed in seeds:
            outcome = simulate(seed, store, server.url() if server else "")
            if trace:
                print(*outcome.trace, sep="\n")
            if outcome.problem is not None:
                failed += 1
                print(f"{store}, seed {seed}: {outcome.problem}", flush=True)
            if len(seeds) == 1:
                print(f"{store}, seed {seed}: {outcome.steps} steps, {outcome.events} events, {outcome.digest}")
    print(f"{store}: {len(seeds)} seeds, {failed} failed", flush=True)
    return failed


@contextmanager
def _server(store: str) -> Iterator[RedisServer | None]:
    if store != "redis":
        yield None
        return
    with TemporaryDirectory() as folder, RedisServer(VALKEY, Path(folder)) as server:
        yield server


if __name__ == "__main__":
    sys.exit(main())
