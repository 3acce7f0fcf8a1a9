"""The event types of a tenant."""

from typing import Any

import pytest

from tests.api_support import ORDER, Api, pointers

SCHEMA = {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}
PATH = "/v1/event-types/stock.low"


async def test_the_built_in_types_are_listed_by_name_each_with_schema_and_example(api: Api) -> None:
    kinds = (await api.admin.get("/v1/event-types")).json()["items"]
    names = [kind["type"] for kind in kinds]
    assert names == sorted(names)
    assert {"order.created", "order.refunded", "user.deleted"} < set(names)
    assert len(kinds) == 11
    assert all(kind["built_in"] and kind["schema"] and kind["description"] for kind in kinds)
    for kind in kinds:
        assert (
            (
                await api.admin.post("/v1/events", json={"type": kind["type"], "data": kind["example"]})
            ).raise_for_status()
        ).status_code == 202


async def test_a_registered_type_is_kept_listed_and_replaced(api: Api) -> None:
    spec = {"description": "Nearly sold out.", "schema": SCHEMA, "example": {"sku": "A-1"}}
    put = await api.admin.put(PATH, json=spec)
    assert put.status_code == 200
    assert put.json() == {
        "type": "stock.low",
        "built_in": False,
        **spec,
        "search": [],
        "created_at": "2026-11-23T12:00:00Z",
        "updated_at": "2026-11-23T12:00:00Z",
    }
    assert (await api.admin.get(PATH)).json() == put.json()
    assert "stock.low" in [kind["type"] for kind in (await api.admin.get("/v1/event-types")).json()["items"]]
    api.clock.advance(60)
    replaced = (await api.admin.put(PATH, json={})).json()
    assert (replaced["schema"], replaced["description"], replaced["example"]) == (None, None, None)
    assert (replaced["created_at"], replaced["updated_at"]) == ("2026-11-23T12:00:00Z", "2026-11-23T12:01:00Z")


async def test_types_are_listed_page_by_page(api: Api) -> None:
    first = (await api.admin.get("/v1/event-types?limit=6")).json()
    rest = (await api.admin.get("/v1/event-types", params={"cursor": first["next_cursor"], "limit": 6})).json()
    assert len(first["items"] + rest["items"]) == 11
    assert rest["next_cursor"] is None


async def test_events_of_a_registered_type_must_fit_its_schema(api: Api) -> None:
    await api.publish(data={})
    (await api.admin.put(PATH, json={"schema": SCHEMA})).raise_for_status()
    refused = await api.admin.post("/v1/events", json={"type": "stock.low", "data": {}})
    assert (refused.status_code, pointers(refused)) == (422, ["/data/sku"])
    await api.publish(data={"sku": "A-1"})
    assert (await api.admin.delete(PATH)).status_code == 204
    await api.publish(data={})


async def test_a_schema_for_a_built_in_type_is_added_to_its_own(api: Api) -> None:
    path = "/v1/event-types/order.created"
    built_in = (await api.admin.get(path)).json()
    stricter = {"properties": {"currency": {"const": "EUR"}}}
    put = await api.admin.put(path, json={"schema": stricter})
    assert (put.status_code, put.json()["built_in"]) == (200, True)
    event = {"type": "order.created", "data": {**ORDER, "currency": "USD", "total": 1}}
    refused = await api.admin.post("/v1/events", json=event)
    assert pointers(refused) == ["/data/total", "/data/currency"]
    assert (await api.admin.delete(path)).status_code == 204
    assert (await api.admin.get(path)).json() == built_in


@pytest.mark.parametrize(
    ("search", "pointer"),
    [
        (["sku"], "/search/0"),
        (["data.a", "data."], "/search/1"),
        (['data."x'], "/search/0"),
        ([f"data.{name}" for name in "abcdef"], "/search"),
    ],
)
async def test_a_malformed_list_of_what_to_search_is_pointed_at(api: Api, search: list[str], pointer: str) -> None:
    refused = await api.admin.put(PATH, json={"search": search})
    assert (refused.status_code, pointers(refused)) == (422, [pointer])


async def test_a_built_in_type_cannot_be_deleted(api: Api) -> None:
    assert (await api.admin.delete("/v1/event-types/order.created")).status_code == 409


async def test_a_type_may_be_named_as_cloudevents_names_it(api: Api) -> None:
    path = "/v1/event-types/com.example.order/v1"
    assert (await api.admin.put(path, json={})).json()["type"] == "com.example.order/v1"
    assert (await api.admin.get("/v1/event-types/com.example.order%2Fv1")).status_code == 200
    assert (await api.admin.delete(path)).status_code == 204


@pytest.mark.process
@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"schema": {"type": "number?"}}, ["/schema/type"]),
        ({"schema": {"$ref": "https://example.com/schema"}}, ["/schema/$ref"]),
        ({"schema": {"properties": {"a": {"pattern": "(?=x)"}}}}, ["/schema/properties/a/pattern"]),
        ({"schema": []}, ["/schema"]),
        ({"schema": SCHEMA, "example": {"sku": 1}}, ["/example/sku"]),
        ({"schema": SCHEMA, "example": 1}, ["/example"]),
        ({"colour": "red"}, ["/colour"]),
    ],
)
async def test_a_type_that_breaks_a_rule_is_not_registered(api: Api, spec: dict[str, Any], wrong: list[str]) -> None:
    refused = await api.admin.put(PATH, json=spec)
    assert (refused.status_code, pointers(refused)) == (422, wrong)
    assert (await api.admin.get(PATH)).status_code == 404


async def test_the_example_of_a_built_in_type_must_fit_its_own_schema_too(api: Api) -> None:
    refused = await api.admin.put("/v1/event-types/order.created", json={"example": {**ORDER, "total": 1}})
    assert (refused.status_code, pointers(refused)) == (422, ["/example/total"])


@pytest.mark.parametrize("name", ["two%20words", "order.*", "x" * 256, "%C3%A9"])
async def test_a_name_that_no_event_may_have_is_refused(api: Api, name: str) -> None:
    assert (await api.admin.put(f"/v1/event-types/{name}", json={})).status_code == 422


async def test_the_types_of_a_tenant_are_its_own(api: Api) -> None:
    other = await api.holder("manage", "events:write", tenant="acme")
    (await api.admin.put(PATH, json={"schema": SCHEMA})).raise_for_status()
    assert (await other.get(PATH)).status_code == 404
    assert (await other.delete(PATH)).status_code == 404
    assert (await other.post("/v1/events", json={"type": "stock.low", "data": {}})).status_code == 202
