"""Some seeds of the simulation over each store, and each mutant, which it must find."""

from collections.abc import Callable

import pytest

from tests.redis_servers import RedisServer
from tests.simulation.mutants import MUTANTS, Mutant
from tests.simulation.runs import simulate

# A process that is killed leaves coroutines that never began, which asyncio would run to their end in a real one.
pytestmark = pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
SEEDS_OF_A_TEST = 10
MUTANT_SEEDS = range(1, 121)


def check(first: int, number: int, store: str, url: Callable[[], str] = str) -> None:
    for seed in range(first, first + number):
        outcome = simulate(seed, store, url())
        assert outcome.problem is None, f"make simulate ARGS='--store {store} --seed {seed} --trace'"


@pytest.mark.parametrize("first", range(1, 171, SEEDS_OF_A_TEST))
def test_the_invariants_hold_over_the_model(first: int) -> None:
    check(first, SEEDS_OF_A_TEST, "model")


@pytest.mark.parametrize("first", range(1, 21, 10))
def test_the_invariants_hold_over_sqlite(first: int) -> None:
    check(first, 10, "sqlite")


def test_the_invariants_hold_over_redis(valkey: RedisServer) -> None:
    check(1, 10, "redis", valkey.url)


@pytest.mark.parametrize("store", ["model", "sqlite"])
def test_a_seed_gives_the_same_trace_each_time(store: str) -> None:
    first, again, other = simulate(5, store), simulate(5, store), simulate(6, store)
    assert list(first.trace) == list(again.trace)
    assert first.digest == again.digest != other.digest


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_fault_that_is_put_back_is_found(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant(monkeypatch)
    assert any(simulate(seed, "model").problem is not None for seed in MUTANT_SEEDS)
