"""How the places for listeners are shared between tenants."""

import pytest

from hub.stream import Limits
from tests.hub.stream.conftest import Stage


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
