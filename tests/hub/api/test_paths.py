"""A slash too many at the end of a path changes nothing, and no path is answered with a redirect."""

from urllib.parse import quote

import pytest
from fastapi.routing import APIRoute

from tests.api_support import ORDER, Api

IDS = [
    "gid://shopify/Order/450789469",
    "2026/0001",
    "#1001",
    "A 17/B",
    "Ä-1",
    "a/",
    "/a",
    "100%2F",
    "a/events",
    "?x=1&y",
]


async def test_every_route_is_the_same_with_a_slash_at_its_end(api: Api) -> None:
    routes = [route for route in api.transport.app.routes if isinstance(route, APIRoute)]  # type: ignore[attr-defined] # an ASGI application, of FastAPI
    assert len(routes) > 30
    for route in routes:
        if route.path != "/v1/stream":
            path = route.path_format.format(**dict.fromkeys(route.param_convertors, "x"))
            for method in (*sorted(route.methods or ()), "HEAD", "OPTIONS"):
                plain, slashed = [await api.admin.request(method, address) for address in (path, path + "/")]
                assert slashed.status_code == plain.status_code, (method, path)
                assert slashed.headers.get("location", "/").startswith("/")


@pytest.mark.parametrize("path", ["/", "//", "/v1/events//", "/v1//events", "/nothing/", "/docs/x/"])
async def test_other_slashes_lead_nowhere(api: Api, path: str) -> None:
    answer = await api.admin.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/events", "/v1/events/"])
async def test_a_path_with_a_slash_publishes_as_the_one_without(api: Api, path: str) -> None:
    key = {"Idempotency-Key": "the same"}
    event = {"type": "stock.low", "data": 1}
    first = await api.admin.post("/v1/events", json=event, headers=key)
    again = await api.admin.post(path, json=event, headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize("name", IDS)
async def test_the_id_of_an_order_or_a_user_may_have_any_character_of_text(api: Api, name: str) -> None:
    data = {member: value for member, value in ORDER.items() if member != "order_id"}
    place = quote(name, safe="")
    order = await api.admin.post(f"/v1/orders/{place}/events", json={"type": "order.paid", "data": data})
    user = await api.admin.post(
        f"/v1/users/{place}/events", json={"type": "user.deleted", "data": {"email": "ada@example.com"}}
    )
    for accepted, kind in ((order, "order"), (user, "user")):
        assert accepted.status_code == 202, accepted.text
        event = (await api.admin.get(accepted.headers["location"])).json()
        assert event["subject"] == f"{kind}s/{name}"
        assert event["data"][f"{kind}_id"] == name


@pytest.mark.parametrize("name", ["a\tb", "a\x00b", "\x85", "x" * 201])
async def test_an_id_with_control_characters_or_without_end_is_refused(api: Api, name: str) -> None:
    refused = await api.admin.post(
        f"/v1/orders/{quote(name, safe='')}/events", json={"type": "order.paid", "data": {"order_id": name}}
    )
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/path/order_id"


@pytest.mark.parametrize("name", ["com.example/a/v1", "a/", "a%2Fb"])
async def test_an_event_type_may_have_slashes_at_any_place(api: Api, name: str) -> None:
    place = f"/v1/event-types/{quote(name, safe='')}"
    assert (await api.admin.put(place, json={"description": "x"})).json()["type"] == name
    assert (await api.admin.get(place)).json()["type"] == name
    assert (await api.admin.delete(place)).status_code == 204
