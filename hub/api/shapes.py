"""The shapes of answers that several routes give, and the parameters that several take."""

from collections.abc import Iterable
from typing import Annotated, Any

import orjson
from fastapi import Depends, Query, Response
from pydantic import BaseModel, Field

from hub.catalogue.patterns import is_pattern
from hub.errors import Fault, Invalid
from hub.instants import Instant
from hub.media_types import JSON
from hub.models import Attempt, Delivery, Event, Status
from hub.runtime import Services
from hub.stores.base import Page

_JSON_OPTIONS = orjson.OPT_UTC_Z
NO_STORE = {"Cache-Control": "no-store"}
"""Headers of an answer with a secret in it."""

Since = Annotated[Instant | None, Query(description="From this instant on.")]
Until = Annotated[Instant | None, Query(description="Before this instant.")]


async def _type_pattern(
    type: Annotated[
        str | None, Query(max_length=255, description="A pattern: exact, `order.*`, or `*`.", examples=["order.*"])
    ] = None,
) -> str | None:
    if type is not None and not is_pattern(type):
        fault = Fault("must be an event type, a prefix such as `order.*`, or `*`", "/query/type")
        raise Invalid("The type pattern is malformed.", errors=[fault])
    return type


TypePattern = Annotated[str | None, Depends(_type_pattern)]


async def _page(
    limit: Annotated[int, Query(ge=1, le=200, description="How many items at most.")] = 50,
    cursor: Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")] = None,
) -> Page:
    return Page(limit, cursor)


Paging = Annotated[Page, Depends(_page)]


class EventView(Event):
    """An event as it is shown; `data` byte for byte as it was published."""

    data: Any = Field(examples=[{"order_id": "1001", "total": "99.90", "currency": "EUR"}])


class EventDetail(EventView):
    deliveries: dict[Status, int] = Field(examples=[{"delivered": 2, "pending": 1}])


class EventList(BaseModel):
    items: list[EventView]
    next_cursor: str | None


class DeliveryList(BaseModel):
    items: list[Delivery]
    next_cursor: str | None


class DeliveryDetail(Delivery):
    attempts: list[Attempt]


def shown_event(event: Event) -> dict[str, Any]:
    """An event's members, its data spliced in as it was received (see docs/decisions/0003)."""
    return {**event.model_dump(exclude={"data"}), "data": orjson.Fragment(event.data)}


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON of plain values, resources and aware UTC instants."""
    return Response(orjson.dumps(content, _members, _JSON_OPTIONS), status, headers, JSON)


def location(services: Services, path: str) -> dict[str, str]:
    """The header `Location` of what is at this path, under the prefix that a proxy adds."""
    return {"Location": services.settings.root_path + path}


def listed(items: Iterable[Any], next_cursor: str | None = None) -> Response:
    return json_response({"items": list(items), "next_cursor": next_cursor})


def _members(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(type(value).__name__)
