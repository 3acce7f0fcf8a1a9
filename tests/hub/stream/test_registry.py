"""How the places for listeners are shared between tenants."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.stream import Limits, Selection
from hub.stream.listener import Listener
from hub.stream.registry import Registry
from tests.hub.stream.conftest import EVERYTHING, Stage


class TestCrowd:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(max_listeners=4)

    async def test_over_the_limit_a_listener_is_told_to_come_back_later(self, stage: Stage) -> None:
        ears = [await (await stage.listen()).opens() for _ in range(4)]
        refused = await (await stage.listen()).ends()
        assert refused.parser.retry is not None
        assert 10_000 <= refused.parser.retry <= 30_000
        assert refused.parser.comments == ["no room for another listener"]
        assert stage.stream.listeners == 4
        await ears[0].leaves()
        await (await stage.listen()).opens()
        assert not any(ear.ended for ear in ears[1:])

    async def test_a_tenant_that_holds_most_places_gives_way_to_one_that_holds_few(self, stage: Stage) -> None:
        ears = [await (await stage.listen()).opens() for _ in range(4)]
        acme = [await (await stage.listen(tenant="acme")).opens() for _ in range(2)]
        for ear in ears[:2]:
            await ear.ends()
            assert ear.parser.comments == ["another listener needs the room"]
        assert stage.stream.listeners == 4
        await (await stage.listen(tenant="acme")).ends()
        await (await stage.listen()).ends()
        assert not any(ear.ended for ear in [*ears[2:], *acme])

    async def test_nobody_gives_way_to_one_who_would_then_hold_more(self, stage: Stage) -> None:
        tenants = ("default", "default", "acme", "initech")
        ears = [await (await stage.listen(tenant=tenant)).opens() for tenant in tenants]
        await (await stage.listen(tenant="acme")).ends()
        assert not any(ear.ended for ear in ears)


def listener(tenant: str, selection: Selection = EVERYTHING) -> Listener:
    return Listener(tenant, selection, is_allowed=lambda: True, heartbeat_at=0.0, ends_at=0.0)


async def test_attached_listeners_are_grouped_by_what_they_select() -> None:
    registry, some = Registry(10), Selection(types=("order.*",))
    one, two, three = listener("acme"), listener("acme", some), listener("acme", Selection(types=("order.*",)))
    for each in (one, two, three):
        registry.add(each)
    assert (registry.count, registry.has_attached, list(registry.groups("acme"))) == (3, False, [])
    for each in (one, two, three):
        registry.attach(each)
    assert {selection: list(listeners) for selection, listeners in registry.groups("acme")} == {
        EVERYTHING: [one],
        some: [two, three],
    }
    assert list(registry.groups("other")) == []


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(["add", "attach", "remove"]), st.integers(0, 5)), max_size=30))
def test_it_holds_exactly_those_that_were_added_and_not_removed(steps: list[tuple[str, int]]) -> None:
    registry = Registry(3)
    some = asyncio.run(_six())
    added, attached = set[int](), set[int]()
    for step, number in steps:
        if step == "add" and number not in added:
            registry.add(some[number])
            added.add(number)
        elif step == "attach" and number in added:
            registry.attach(some[number])
            attached.add(number)
        elif step == "remove":
            registry.remove(some[number])
            added.discard(number)
            attached.discard(number)
        assert (set(registry), registry.count) == ({some[n] for n in added}, len(added))
        assert registry.full is (len(added) >= 3)
        shown = {each for tenant in "ab" for _, group in registry.groups(tenant) for each in group}
        assert shown == {some[n] for n in attached}
        assert registry.has_attached is bool(attached)


async def _six() -> list[Listener]:
    return [listener("ab"[number % 2]) for number in range(6)]


async def test_the_oldest_of_the_tenant_that_has_most_gives_way_unless_the_newcomer_had_as_many() -> None:
    registry = Registry(4)
    first, *others = (listener("acme") for _ in range(3))
    for each in (first, *others, listener("other")):
        registry.add(each)
    assert registry.evictable("newcomer") is first
    assert registry.evictable("other") is first
    assert registry.evictable("acme") is None
