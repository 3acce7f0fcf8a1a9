"""Publishing: events of any type, and order and user events under the thing that they are about."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from hub.api.access import RequireScope
from hub.api.formats import Adapt, idempotency_of, receive
from hub.api.problems import Problem, problems
from hub.api.shapes import json_response, location
from hub.catalogue.event_types import BUILT_IN
from hub.catalogue.keys.model import Principal
from hub.errors import Fault, Invalid
from hub.media_types import CLOUDEVENT, CLOUDEVENTS_BATCH, JSON, NDJSON
from hub.models import Scope
from hub.publishing.event import ParsedEvent, fill_from_path
from hub.runtime import Services
from hub.stores.base import ItemResult
from hub.telemetry.tracing import current_traceparent

router = APIRouter(prefix="/v1", tags=["publish"])
_caller = RequireScope(Scope.EVENTS_WRITE)
Publishing = Annotated[Principal, Depends(_caller)]


class DirectRoute(APIRoute):
    """Documents its endpoint as every route does, and calls it without the general way of solving parameters.

    That way takes as long as everything the hub itself does to accept an event, so the busiest route goes without. See
    docs/decisions/0008.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        async def handle(request: Request) -> Response:
            # In step with the signature of the endpoint, which documents what is passed here.
            response: Response = await self.endpoint(request, await _caller(request))
            return response

        return handle


class AcceptedEvent(BaseModel):
    """Stored on disk, and on its way. `duplicate`: its source and id were published before; nothing is sent again."""

    id: str = Field(examples=["evt_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])
    type: str = Field(examples=["order.created"])
    status: Literal["accepted"] = "accepted"
    duplicate: bool = False


class BatchItem(BaseModel):
    index: int
    status: Literal["accepted", "duplicate", "rejected"]
    id: str | None = None
    problem: Problem | None = None


class AcceptedBatch(BaseModel):
    """One item for each event, in the order in which they were sent."""

    items: list[BatchItem]


_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 257, "pattern": "^[ -~]+$"},
    "description": "Quoted or bare, at most 255 characters. For 24 hours the same key with the same request gives the "
    "same answer, and publishes once.",
    "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
}
SubjectId = Annotated[str, Path(min_length=1, max_length=200, examples=["1001"])]

_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {
        "description": "Stored on disk; in a batch each item has a result of its own.",
        "content": {
            JSON: {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/AcceptedEvent"},
                        {"$ref": "#/components/schemas/AcceptedBatch"},
                    ]
                }
            }
        },
        "headers": {
            "Location": {"description": "Where a single event is.", "schema": {"type": "string"}},
            "Idempotency-Replayed": {"description": "This answer was given before.", "schema": {"type": "string"}},
        },
    },
    **problems(400, 401, 403, 409, 413, 415, 422, 503),
}


def _request(event_type: str) -> dict[str, Any]:
    """What a request may hold, with an event of this type as the example.

    Documented by hand because it is read by hand: accepting is what the hub does most.
    """
    event = {"$ref": "#/components/schemas/NewEvent"}
    cloud_event = {"type": "object", "required": ["specversion", "id", "source", "type"]}
    example = {"type": event_type, "data": BUILT_IN[event_type].example}
    cloud_example = {"specversion": "1.0", "id": "1", "source": "/shop", **example}
    content = {
        JSON: {"schema": {"anyOf": [event, {"type": "array", "items": event, "minItems": 1}]}, "example": example},
        NDJSON: {"schema": {"type": "string"}, "example": orjson.dumps(example).decode()},
        CLOUDEVENT: {"schema": cloud_event, "example": cloud_example},
        CLOUDEVENTS_BATCH: {
            "schema": {"type": "array", "items": cloud_event, "minItems": 1},
            "example": [cloud_example],
        },
    }
    return {"parameters": [_IDEMPOTENCY_KEY], "requestBody": {"required": True, "content": content}}


async def publish_events(request: Request, caller: Publishing) -> Response:
    """Accept an event, or a batch of them: JSON, an array, NDJSON, or CloudEvents 1.0 in each of its modes.

    The answer is given once everything is on disk. An item of a batch that is refused does not affect the others.
    """
    return await _publish(request, caller, _with_trace(request))


router.add_api_route(
    "/events",
    publish_events,
    methods=["POST"],
    status_code=202,
    responses=_RESPONSES,
    openapi_extra=_request("order.created"),
    route_class_override=DirectRoute,
)


@router.post("/orders/{order_id}/events", status_code=202, responses=_RESPONSES, openapi_extra=_request("order.paid"))
async def publish_order_events(request: Request, order_id: SubjectId, caller: Publishing) -> Response:
    """Accept events of one order: their subject and `data.order_id` are filled in."""
    adapt = _about(request, "order", f"orders/{order_id}", "order_id", order_id)
    return await _publish(request, caller, adapt)


@router.post(
    "/users/{user_id}/events", status_code=202, responses=_RESPONSES, openapi_extra=_request("user.registered")
)
async def publish_user_events(request: Request, user_id: SubjectId, caller: Publishing) -> Response:
    """Accept events of one user: their subject and `data.user_id` are filled in."""
    adapt = _about(request, "user", f"users/{user_id}", "user_id", user_id)
    return await _publish(request, caller, adapt)


def _with_trace(request: Request) -> Adapt:
    """Events carry the trace context of the request, unless they have one of their own."""
    traceparent = current_traceparent(request.headers.get("traceparent"))

    def adapt(event: ParsedEvent) -> ParsedEvent:
        return event if traceparent is None or event.traceparent else replace(event, traceparent=traceparent)

    return adapt


def _about(request: Request, family: str, subject: str, member: str, value: str) -> Adapt:
    with_trace = _with_trace(request)

    def adapt(event: ParsedEvent) -> ParsedEvent:
        if not event.type.startswith(f"{family}."):
            raise Invalid("The type does not fit the path.", errors=[Fault(f"must begin with {family}.", "/type")])
        return fill_from_path(with_trace(event), subject=subject, member=member, value=value)

    return adapt


async def _publish(request: Request, caller: Principal, adapt: Adapt) -> Response:
    services: Services = request.app.state.services
    settings = services.settings
    received = await receive(
        request, adapt, max_events=settings.max_batch_events, max_event_bytes=settings.max_body_bytes
    )
    idempotency = await idempotency_of(request, services.clock.now())
    if isinstance(received, ParsedEvent):
        answer = await services.publisher.publish_one(caller.tenant, received, idempotency)
        (verdict,) = answer.verdicts
        content, headers = _accepted(received, verdict), location(services, f"/v1/events/{verdict.id}")
    else:
        answer = await services.publisher.publish(caller.tenant, received, idempotency)
        content, headers = {"items": [_item(verdict) for verdict in answer.verdicts]}, {}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_response(content, 202, headers)


def _accepted(event: ParsedEvent, verdict: ItemResult) -> dict[str, Any]:
    return {
        "id": verdict.id,
        "type": event.type,
        "status": "accepted",
        "duplicate": verdict.status == "duplicate",
    }


def _item(verdict: ItemResult) -> dict[str, Any]:
    item = {"index": verdict.index, "status": verdict.status, "id": verdict.id, "problem": verdict.problem}
    return {name: value for name, value in item.items() if value is not None}
