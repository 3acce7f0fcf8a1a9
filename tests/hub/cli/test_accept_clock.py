"""`hub doctor --accept-clock` works beside a running hub."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from hub.clock import SystemClock
from hub.stores import open_store
from hub.stores.base import ClockMark
from tests.hub.cli.commands import Hub
from tests.redis_servers import free_port

OFF = ClockMark("boot", 1.0, 1, 1, wall_off=7_200.0)


def accepted(hub: Hub) -> dict[str, str]:
    """The first finding, which is about the clock."""
    finding: dict[str, str] = json.loads(hub("doctor", "--json", "--accept-clock").out)["findings"][0]
    assert finding["check"] == "accept clock"
    return finding


@pytest.mark.parametrize("where", ["sqlite", "valkey"])
def test_a_clock_that_has_jumped_is_accepted_beside_a_running_hub(
    where: str, hub: Hub, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/hub.db" if where == "sqlite" else request.getfixturevalue("valkey").url()
    monkeypatch.setenv("HUB_STORE_URL", url)
    monkeypatch.setenv("HUB_PORT", str(free_port()))

    async def beside() -> list[str]:
        async with open_store(url, SystemClock()) as store:
            await store.clock.keep(OFF)
            told = [(await asyncio.to_thread(accepted, hub))["seen"] for _ in range(2)]
            assert await store.clock.mark() == replace(OFF, wall_off=0.0)
        return told

    assert asyncio.run(beside()) == [
        "accepted: within a minute the hub removes what is old again",
        "no clock had jumped",
    ]


def test_without_a_store_there_is_no_clock_to_accept(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", str(free_port()))
    assert accepted(hub)["state"] == "failed"
