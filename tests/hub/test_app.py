"""The application has the routes of its role, and holds an open process for as long as it runs."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from hub.app import create_app
from hub.cluster.roles import EVERY_ROLE, Role
from hub.stores import open_store
from tests.api_support import settings_for
from tests.clock import ManualClock

HEALTH = {"/livez", "/readyz", "/metrics"}


def paths(app: FastAPI) -> set[str]:
    return {route.path for route in app.routes if isinstance(route, APIRoute)}


def test_with_the_role_web_every_route_is_there(tmp_path: Path) -> None:
    for roles in (EVERY_ROLE, frozenset({Role.WEB})):
        found = paths(create_app(settings_for(tmp_path), roles))
        assert found > HEALTH
        assert {"/v1/events", "/v1/stream", "/v1/keys"} <= found


@pytest.mark.parametrize("role", [Role.WORKER, Role.SCHEDULER])
def test_without_the_role_web_it_answers_only_how_it_is(tmp_path: Path, role: Role) -> None:
    assert paths(create_app(settings_for(tmp_path), frozenset({role}))) == HEALTH


async def test_the_process_is_open_while_the_application_runs(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    app = create_app(settings)
    client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://hub")
    async with client, app.router.lifespan_context(app):
        assert app.state.services is app.state.process.services
        assert (await client.get("/readyz")).json() == {"status": "ready"}
    async with open_store(settings.store_url, ManualClock()) as closed_before:
        assert await closed_before.upkeep.check() == []
