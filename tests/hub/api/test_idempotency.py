"""`Idempotency-Key`: one request, one publication, one answer."""

import asyncio

import httpx
import pytest

from tests.api_support import Api

EVENT = {"type": "stock.low", "data": {"sku": "A-1"}}


async def post(client: httpx.AsyncClient, key: str, body: object = EVENT) -> httpx.Response:
    return await client.post("/v1/events", json=body, headers={"Idempotency-Key": key})


async def published(api: Api) -> int:
    return len((await api.admin.get("/v1/events")).json()["items"])


async def test_the_same_request_again_gets_the_same_answer_byte_for_byte(api: Api) -> None:
    first = await post(api.admin, "k-1")
    again = await post(api.admin, "k-1")
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert await published(api) == 1


async def test_a_quoted_key_and_the_bare_one_are_the_same(api: Api) -> None:
    first = await post(api.admin, "k-1")
    assert (await post(api.admin, '"k-1"')).content == first.content


async def test_a_batch_gets_the_same_verdicts_again_the_rejected_ones_too(api: Api) -> None:
    batch = [EVENT, {"type": "stock.low"}, EVENT]
    first = await post(api.admin, "k-1", batch)
    again = await post(api.admin, "k-1", batch)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content
    assert await published(api) == 2


async def test_a_key_with_another_body_is_refused(api: Api) -> None:
    await post(api.admin, "k-1")
    assert (await post(api.admin, "k-1", {**EVENT, "data": 2})).status_code == 422
    assert await published(api) == 1


async def test_a_key_with_the_same_body_on_another_path_is_refused(api: Api) -> None:
    event = {"type": "user.deleted", "data": {"user_id": "1", "email": "ada@example.com"}}
    await post(api.admin, "k-1", event)
    refused = await api.admin.post("/v1/users/1/events", json=event, headers={"Idempotency-Key": "k-1"})
    assert refused.status_code == 422
    assert await published(api) == 1


async def test_fifty_requests_at_once_publish_once_and_get_equal_answers(api: Api) -> None:
    answers = await asyncio.gather(*(post(api.admin, "k-1") for _ in range(50)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" in answer.headers for answer in answers) == 49
    assert await published(api) == 1


async def test_while_the_first_is_in_flight_the_second_is_told_to_come_back(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.publishing.publisher.PATIENCE_SECONDS", 0.01)
    api.services.publisher._under_way["default", "k-1"] = asyncio.Event()
    refused = await post(api.admin, "k-1")
    assert refused.status_code == 409
    assert refused.headers["retry-after"] == "1"
    assert await published(api) == 0


async def test_a_key_belongs_to_its_tenant(api: Api) -> None:
    other = await api.holder("events:write", tenant="acme")
    first = await post(api.admin, "k-1")
    second = await post(other, "k-1")
    assert second.json()["id"] != first.json()["id"]


async def test_a_key_is_free_again_after_24_hours(api: Api) -> None:
    first = await post(api.admin, "k-1")
    api.clock.advance(24 * 3_600 - 1)
    assert (await post(api.admin, "k-1")).content == first.content
    api.clock.advance(2)
    assert (await post(api.admin, "k-1", {**EVENT, "data": 2})).json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["", '""', "k" * 256, '"' + "k" * 256 + '"'])
async def test_a_key_has_1_to_255_characters(api: Api, key: str) -> None:
    assert (await post(api.admin, key)).status_code == 400


async def test_a_refused_request_leaves_its_key_free(api: Api) -> None:
    assert (await post(api.admin, "k-1", {"type": "stock.low"})).status_code == 422
    assert (await post(api.admin, "k-1")).status_code == 202
