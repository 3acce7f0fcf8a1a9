"""API keys and tenants."""

import pytest

from tests.api_support import ADMIN_KEY, Api, pointers


async def test_a_new_key_is_shown_once_and_opens_what_its_scopes_say(api: Api) -> None:
    issued = await api.admin.post("/v1/keys", json={"name": "shop", "scopes": ["events:write"]})
    assert issued.status_code == 201
    assert issued.headers["cache-control"] == "no-store"
    key = issued.json().pop("key")
    shown = {name: value for name, value in issued.json().items() if name != "key"}
    assert shown == {
        "id": shown["id"],
        "tenant": "default",
        "name": "shop",
        "scopes": ["events:write"],
        "created_at": "2026-11-23T12:00:00Z",
        "expires_at": None,
    }
    client = api.client(key)
    assert (await client.post("/v1/events", json={"type": "stock.low", "data": 1})).status_code == 202
    for path in (issued.headers["location"], "/v1/keys"):
        answer = await api.admin.get(path)
        assert key not in answer.text
        assert "hash" not in answer.text
    assert (await api.admin.get(issued.headers["location"])).json() == shown


async def test_keys_are_listed_newest_first_over_all_tenants(api: Api) -> None:
    await api.holder("read")
    await api.holder("read", tenant="acme")
    first = (await api.admin.get("/v1/keys?limit=1")).json()
    rest = (await api.admin.get("/v1/keys", params={"cursor": first["next_cursor"]})).json()
    assert [key["tenant"] for key in first["items"] + rest["items"]] == ["acme", "default"]


async def test_a_revoked_key_opens_nothing(api: Api) -> None:
    client = await api.holder("read")
    (key,) = (await api.admin.get("/v1/keys")).json()["items"]
    assert (await client.get("/v1/events")).status_code == 200
    assert (await api.admin.delete(f"/v1/keys/{key['id']}")).status_code == 204
    assert (await client.get("/v1/events")).status_code == 401
    assert (await api.admin.get(f"/v1/keys/{key['id']}")).status_code == 404
    assert (await api.admin.delete(f"/v1/keys/{key['id']}")).status_code == 404


async def test_a_key_opens_nothing_after_it_expired(api: Api) -> None:
    issued = await api.admin.post(
        "/v1/keys", json={"name": "shop", "scopes": ["read"], "expires_at": "2026-11-23T13:00:00+00:00"}
    )
    client = api.client(issued.json()["key"])
    assert (await client.get("/v1/events")).status_code == 200
    api.clock.advance(3_600)
    assert (await client.get("/v1/events")).status_code == 401


@pytest.mark.parametrize(
    ("changed", "wrong"),
    [
        ({"name": ""}, ["/name"]),
        ({"scopes": []}, ["/scopes"]),
        ({"scopes": ["everything"]}, ["/scopes/0"]),
        ({"tenant": "nobody"}, ["/tenant"]),
        ({"expires_at": "tomorrow"}, ["/expires_at"]),
        ({"key": "mine"}, ["/key"]),
    ],
)
async def test_a_key_that_breaks_a_rule_is_not_made(api: Api, changed: dict[str, object], wrong: list[str]) -> None:
    refused = await api.admin.post("/v1/keys", json={"name": "shop", "scopes": ["read"], **changed})
    assert (refused.status_code, pointers(refused)) == (422, wrong)
    assert (await api.admin.get("/v1/keys")).json()["items"] == []


async def test_a_tenant_is_made_once_and_listed(api: Api) -> None:
    made = await api.admin.post("/v1/tenants", json={"id": "acme", "name": "Acme Ltd"})
    assert made.status_code == 201
    assert made.json() == {"id": "acme", "name": "Acme Ltd", "created_at": "2026-11-23T12:00:00Z"}
    assert (await api.admin.post("/v1/tenants", json={"id": "acme", "name": "Other"})).status_code == 409
    assert [tenant["id"] for tenant in (await api.admin.get("/v1/tenants")).json()["items"]] == ["acme", "default"]


async def test_an_admin_key_of_any_tenant_is_an_operators_key(api: Api) -> None:
    operator = await api.holder("admin", tenant="acme")
    assert len((await operator.get("/v1/keys")).json()["items"]) == 1
    accepted = await operator.post("/v1/events", json={"type": "stock.low", "data": 1})
    assert (await operator.get(accepted.headers["location"])).status_code == 200
    assert (await api.client(ADMIN_KEY).get(accepted.headers["location"])).status_code == 404
