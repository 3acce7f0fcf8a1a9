"""The application has the routes of its role, and holds an open process for as long as it runs."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from hub.app import create_app
from hub.cluster.roles import EVERY_ROLE, Role
from hub.stores import open_store
from hub.testing.clock import ManualClock
from tests.api_support import Api, open_api, settings_for

TO_FILE = {"name": "all", "event_types": ["*"], "channel": "file", "target": {"name": "all"}}
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


@pytest.mark.parametrize("seen", ["", "/hub"], ids=["cut off", "kept"])
async def test_under_a_prefix_the_hub_answers_whether_or_not_the_proxy_cuts_it_off(tmp_path: Path, seen: str) -> None:
    async with open_api(settings_for(tmp_path, root_path="/hub/")) as api:
        made = [
            await api.admin.post(f"{seen}/v1/events", json={"type": "stock.low", "data": 1}),
            await api.admin.post(f"{seen}/v1/subscriptions", json=TO_FILE),
            await api.admin.post(f"{seen}/v1/keys", json={"name": "a", "scopes": ["read"]}),
            await api.admin.post(f"{seen}/v1/schedules/temp-files/run"),
        ]
        for answer in made:
            assert answer.headers["location"].startswith("/hub/v1/"), answer.text
            place = seen + answer.headers["location"].removeprefix("/hub")
            assert (await api.admin.get(place)).json()["id"] == answer.json()["id"]
        assert (await api.admin.get(f"{seen}/openapi.json")).json()["servers"] == [{"url": "/hub"}]
        for path in ("/livez", "/docs", "/docs/swagger-ui.css"):
            assert (await api.admin.get(seen + path)).status_code == 200
        assert (await api.admin.get("/hubs/livez")).status_code == 404


async def test_without_a_prefix_the_document_names_the_root(api: Api) -> None:
    assert (await api.admin.get("/openapi.json")).json()["servers"] == [{"url": "/"}]
