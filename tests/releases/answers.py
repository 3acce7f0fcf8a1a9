"""What a hub answers over the data of a release, and how two such answers are compared."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

STATUSES = ("pending", "held", "sending", "delivered", "dead", "cancelled")
LISTS = ("/v1/events", "/v1/deliveries", "/v1/subscriptions", "/v1/event-types", "/v1/tasks")
LAST_TYPE = "release.end"
"""The type of the last event that a release published in the tenant that is compared."""
_PAGE = 7
"""So short that every list has more than one page."""
_OF_NOW = {
    "/v1/schedules": ("next_run_at", "last_run_at", "last_outcome", "last_error", "last_duration_seconds", "trigger"),
    "/v1/subscriptions/": ("health.state", "health.consecutive_failures", "health.open_until"),
}
"""Members that tell of the present and not of what is stored, by the beginning of the path: when housekeeping runs, and
how targets fare, which SQLite does not keep and Redis forgets after a while."""

_NEWER_SCHEDULES = frozenset({"clock-watch"})
"""Those that no release had yet when its answers were written."""

Answers = dict[str, Any]
"""The JSON of each answer by the path and query of its request."""


async def tenant_answers(api: httpx.AsyncClient, since: str) -> Answers:
    """Everything that the REST API tells a tenant of its events, deliveries, subscriptions, event types and tasks."""
    filtered = [
        *(f"/v1/deliveries?status={status}" for status in STATUSES),
        "/v1/deliveries?channel=email",
        "/v1/deliveries?type=order.*",
        "/v1/events?type=order.*",
        "/v1/events?subject=orders/1001",
        f"/v1/events?since={since}",
        f"/v1/events?until={since}",
    ]
    answers = {path: await answer(api, path) for path in (*LISTS, *filtered, f"/v1/stats?since={since}")}
    for path in LISTS:
        for item in answers[path]["items"]:
            for one in _about(path, item):
                answers[one] = await answer(api, one)
    return answers


async def operator_answers(api: httpx.AsyncClient) -> Answers:
    """Everything that the REST API tells the operator of keys, tenants, schedules and the operator's own tasks."""
    return {path: await answer(api, path) for path in ("/v1/keys", "/v1/tenants", "/v1/tasks", "/v1/schedules")}


def _about(path: str, item: Mapping[str, Any]) -> list[str]:
    """The requests that tell more of an item of a list."""
    if path == "/v1/event-types":
        return [] if item["built_in"] else [f"{path}/{item['type']}"]
    one = f"{path}/{item['id']}"
    more = {
        "/v1/events": [f"{one}/deliveries", f"{one}/explain"],
        "/v1/subscriptions": [f"{one}/secret"],
    }
    return [one, *more.get(path, [])]


async def answer(api: httpx.AsyncClient, path: str) -> Any:
    """The JSON that answers a request, as far as it tells of what is stored: a list whole, over as many pages as it
    takes."""
    url = httpx.URL(path)
    params = url.params.merge({"limit": str(_PAGE)} if url.path in LISTS else {})
    body = (await api.get(url.path, params=params)).json()
    while cursor := body.get("next_cursor"):
        following = (await api.get(url.path, params=params.set("cursor", cursor))).raise_for_status().json()
        body = {"items": [*body["items"], *following["items"]], "next_cursor": following["next_cursor"]}
    if path == "/v1/event-types":
        # What is built in belongs to the code.
        body["items"] = [item for item in body["items"] if not item["built_in"]]
    if path == "/v1/schedules":
        body["items"] = [item for item in body["items"] if item["name"] not in _NEWER_SCHEDULES]
    if url.query and "items" in body:
        # Which of them a filter finds; each is told of in full without one.
        body["items"] = [item["id"] for item in body["items"]]
    for beginning, members in _OF_NOW.items():
        if path.startswith(beginning):
            for part in body.get("items", [body]):
                _without(part, members)
    return body


def _without(part: dict[str, Any], members: tuple[str, ...]) -> None:
    for name in members:
        *outer, last = name.split(".")
        holder = part
        for step in outer:
            holder = holder.get(step, {})
        holder.pop(last, None)


def differences(expected: Any, actual: Any, place: str = "") -> list[str]:
    """Where the second of two JSON values differs from the first. An object may have members more, and a reason may say
    more at its end: that is how an answer grows."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        missing = [f"{place}/{name}: is gone" for name in expected.keys() - actual.keys()]
        shared = expected.keys() & actual.keys()
        return [*missing, *(one for name in sorted(shared) for one in _inside(expected, actual, name, place))]
    if isinstance(expected, list) and isinstance(actual, list):
        if len(expected) != len(actual):
            return [f"{place}: has {len(actual)} items, and had {len(expected)}"]
        return [one for index in range(len(expected)) for one in _inside(expected, actual, index, place)]
    return [] if expected == actual else [f"{place}: is {actual!r}, and was {expected!r}"]


def _inside(expected: Any, actual: Any, name: Any, place: str) -> list[str]:
    if name == "reason" and isinstance(expected[name], str) and str(actual[name]).startswith(expected[name]):
        return []
    return differences(expected[name], actual[name], f"{place}/{name}")


@asynccontextmanager
async def listening(api: httpx.AsyncClient, after: str) -> AsyncIterator[AsyncIterator[ServerSentEvent]]:
    """The events of the live stream after a cursor, or from the `earliest` on."""
    headers = {} if after == "earliest" else {"Last-Event-ID": after}
    params = {"last_event_id": "earliest"} if after == "earliest" else {}
    async with aconnect_sse(api, "GET", "/v1/stream", params=params, headers=headers) as source:
        source.response.raise_for_status()
        events = source.aiter_sse()
        yield (event async for event in events if event.event != "cursor")


async def feed(api: httpx.AsyncClient, after: str = "earliest") -> list[list[Any]]:
    """The id, the name and the data of each event of the live stream, up to the last one that the release wrote."""
    told: list[list[Any]] = []
    async with listening(api, after) as stream:
        async for event in stream:
            told.append([event.id, event.event, event.json()])
            if event.event == "event.accepted" and event.json()["type"] == LAST_TYPE:
                break
    return told
