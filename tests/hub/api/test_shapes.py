"""Answers show data byte for byte, and instants in UTC; parameters that several routes take are checked alike."""

from datetime import UTC, datetime

import orjson
import pytest
from fastapi import Response

from hub.api.shapes import _type_pattern, json_response, listed, shown_event
from hub.errors import Invalid
from hub.testing.stores.samples import event, task
from tests.api_support import Api, pointers

DATA = b'{ "total": 10.50, "big": 123456789012345678901234567890, "a":1, "a":2 }'


def body(answer: Response) -> bytes:
    return bytes(answer.body)


def test_an_event_is_shown_with_its_data_as_they_were_published() -> None:
    shown = body(json_response(shown_event(event(data=DATA))))
    assert DATA in shown
    assert "tenant" not in orjson.loads(shown)


def test_instants_are_shown_in_utc_with_a_z() -> None:
    answer = json_response({"at": datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)})
    assert body(answer) == b'{"at":"2026-11-23T12:00:00.250000Z"}'
    assert answer.headers["content-type"] == "application/json"


def test_a_list_has_its_items_and_the_next_cursor() -> None:
    shown = orjson.loads(body(listed(iter([task(id="tsk_1"), task(id="tsk_2")]), "next")))
    assert [item["id"] for item in shown["items"]] == ["tsk_1", "tsk_2"]
    assert shown["next_cursor"] == "next"


def test_what_cannot_be_shown_is_a_defect_and_not_guessed_at() -> None:
    with pytest.raises(TypeError):
        json_response({"what": object()})


@pytest.mark.parametrize("pattern", [None, "*", "order.*", "order.created"])
async def test_a_pattern_of_types_is_taken(pattern: str | None) -> None:
    assert await _type_pattern(pattern) == pattern


@pytest.mark.parametrize("pattern", ["", "order.*.paid", "*.paid", "order created"])
async def test_a_malformed_pattern_of_types_is_pointed_at(pattern: str) -> None:
    with pytest.raises(Invalid) as refused:
        await _type_pattern(pattern)
    assert [fault.pointer for fault in refused.value.errors] == ["/query/type"]


async def test_lists_refuse_a_parameter_that_they_do_not_know(api: Api) -> None:
    event = f"/v1/events/{await api.publish()}"
    lists = ["events", "deliveries", "subscriptions", "event-types", "tasks", "keys", "tenants", "schedules", "stats"]
    for path in (*(f"/v1/{name}" for name in lists), f"{event}/deliveries", f"{event}/explain"):
        assert (await api.admin.get(path)).status_code == 200, path
        refused = await api.admin.get(path, params={"statsu": "dead"})
        assert (refused.status_code, pointers(refused)) == (422, ["/query/statsu"]), path
        assert (await api.client(None).get(path, params={"statsu": "dead"})).status_code == 401, path


async def test_what_a_list_takes_once_is_refused_when_it_is_given_twice(api: Api) -> None:
    refused = await api.admin.get("/v1/deliveries?status=dead&status=held&limit=1")
    assert (refused.status_code, pointers(refused)) == (422, ["/query/status"])


async def test_the_refusal_names_the_parameters_that_there_are(api: Api) -> None:
    refused = await api.admin.get("/v1/events", params={"kind": "x", "limit": 1})
    (fault,) = refused.json()["errors"]
    assert {"type", "subject", "since", "until", "limit", "cursor"} <= set(fault["detail"].replace(",", "").split())
