"""The event types of a tenant: those that are built in, and those it registers."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from hub.api.access import AnyScope, CurrentServices, Manager
from hub.api.bodies import JsonRoute
from hub.api.paging import page_of
from hub.api.problems import problems
from hub.api.shapes import Paging, json_response, listed
from hub.catalogue.event_types import EventType, EventTypeSpec

router = APIRouter(prefix="/v1/event-types", tags=["event types"], route_class=JsonRoute)

TypeName = Annotated[str, Path(max_length=255, examples=["stock.low"])]


class EventTypeList(BaseModel):
    items: list[EventType]
    next_cursor: str | None


@router.get("", response_model=EventTypeList, responses=problems(401, 403, 422))
async def list_event_types(services: CurrentServices, caller: AnyScope, page: Paging) -> Response:
    """Event types, by name."""
    found = page_of(services.event_types.listing(caller.tenant), page, lambda kind: kind.type)
    return listed(found.items, found.next_cursor)


# A path, because a type may have slashes in it, as in CloudEvents: `com.example.order/v1`.
@router.get("/{type:path}", response_model=EventType, responses=problems(401, 403, 404, 422))
async def get_event_type(type: TypeName, services: CurrentServices, caller: AnyScope) -> Response:
    """An event type, with its schema and an example."""
    return json_response(services.event_types.find(caller.tenant, type))


@router.put("/{type:path}", response_model=EventType, responses=problems(400, 401, 403, 409, 413, 415, 422, 503))
async def put_event_type(type: TypeName, spec: EventTypeSpec, services: CurrentServices, caller: Manager) -> Response:
    """Register an event type, or replace what was registered before.

    Once this is answered, data of this type must fit the schema. A schema for a built-in type is added to its own.
    """
    return json_response(await services.event_types.put(caller.tenant, type, spec))


@router.delete(
    "/{type:path}", status_code=204, response_class=Response, responses=problems(401, 403, 404, 409, 422, 503)
)
async def delete_event_type(type: TypeName, services: CurrentServices, caller: Manager) -> Response:
    """Delete an event type. A built-in type stays, with its own schema."""
    await services.event_types.delete(caller.tenant, type)
    return Response(status_code=204)
