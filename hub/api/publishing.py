"""Publishing: events of any type, and order and user events under the thing that they are about."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import AfterValidator, BaseModel, Field
from starlette import types as asgi

from hub.api.access import RequirePublisher
from hub.api.components import reference
from hub.api.formats import Adapt, Sent, events_of, idempotency_of, read
from hub.api.problems import Problem, problems
from hub.api.shapes import json_response, location
from hub.catalogue.event_types import BUILT_IN
from hub.catalogue.keys.model import Principal
from hub.errors import Fault, HubError, Invalid
from hub.media_types import CLOUDEVENT, JSON
from hub.models import Scope
from hub.publishing.event import ParsedEvent, check_text, fill_from_path, refuse_reserved
from hub.runtime import Services
from hub.stores.base import ItemResult
from hub.telemetry.tracing import current_traceparent

router = APIRouter(prefix="/v1", tags=["publish"])
_caller = RequirePublisher(Scope.EVENTS_WRITE)
Publishing = Annotated[Principal, Depends(_caller)]


class DirectRoute(APIRoute):
    """Documents its endpoint as every route does, and calls it without the general way of solving parameters
    and of ending dependencies.

    That way takes as long as everything the hub itself does to accept an event, so the busiest route goes without. See
    docs/decisions/0008.
    """

    async def handle(self, scope: asgi.Scope, receive: asgi.Receive, send: asgi.Send) -> None:
        if self.methods is None or scope["method"] not in self.methods:
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive)
        # In step with the signature of the endpoint, which documents what is passed here.
        response: Response = await self.endpoint(request, await _caller(request))
        await response(scope, receive, send)


_WARNED = "What was accepted and has no effect; absent where there is nothing to say."
_NO_ORDER = "The event keeps its ordering key, but deliveries are not ordered by it yet."


class AcceptedEvent(BaseModel):
    """Stored on disk, and on its way. `duplicate`: its source and id were published before; nothing is sent again."""

    id: str = Field(examples=["evt_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])
    type: str = Field(examples=["order.created"])
    status: Literal["accepted"] = "accepted"
    duplicate: bool = False
    warnings: list[str] | None = Field(None, description=_WARNED)


class BatchItem(BaseModel):
    index: int
    status: Literal["accepted", "duplicate", "rejected"]
    id: str | None = None
    problem: Problem | None = None
    warnings: list[str] | None = Field(None, description=_WARNED)


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
SubjectId = Annotated[str, Path(min_length=1, max_length=200, examples=["1001"]), AfterValidator(check_text)]


def _answers(model: str, headers: dict[str, Any], description: str) -> dict[int | str, dict[str, Any]]:
    replayed = {"description": "This answer was given before.", "schema": {"type": "string"}}
    return {
        202: {
            "description": description,
            "content": {JSON: {"schema": reference(model)}},
            "headers": {**headers, "Idempotency-Replayed": replayed},
        },
        **problems(400, 401, 403, 409, 413, 415, 422, 503),
    }


_ONE = _answers(
    "AcceptedEvent",
    {"Location": {"description": "Where the event is.", "schema": {"type": "string"}}},
    "Stored on disk.",
)
_BATCH = _answers("AcceptedBatch", {}, "Stored on disk; each event has a result of its own.")


def _request(event_type: str) -> dict[str, Any]:
    """What a request may hold, with an event of this type as the example.

    Documented by hand because it is read by hand: accepting is what the hub does most. Only one form for each media
    type, because programs are generated from it; what else is taken stands in the reference of REST.
    """
    example = {"type": event_type, "data": BUILT_IN[event_type].example}
    cloud_example = {"specversion": "1.0", "id": "1", "source": "/shop", **example}
    content = {
        JSON: {"schema": reference("NewEvent"), "example": example},
        CLOUDEVENT: {"schema": reference("CloudEvent"), "example": cloud_example},
    }
    return {"parameters": [_IDEMPOTENCY_KEY], "requestBody": {"required": True, "content": content}}


def _batch_request(event_type: str) -> dict[str, Any]:
    example = {"type": event_type, "data": BUILT_IN[event_type].example}
    events = {"type": "array", "items": reference("NewEvent"), "minItems": 1}
    content = {JSON: {"schema": events, "example": [example, example]}}
    return {"parameters": [_IDEMPOTENCY_KEY], "requestBody": {"required": True, "content": content}}


async def publish_event(request: Request, caller: Publishing) -> Response:
    """Accept an event, as JSON or as a CloudEvent 1.0. The answer is given once it is on disk.

    A CloudEvent in binary mode has its attributes in `ce-…` headers, and any content type. A batch (a JSON array,
    NDJSON, a CloudEvents batch) is taken here too; generated clients send it to `/v1/events/batch`.

    What GitHub and Shopify post, an object without `type` that comes with `X-GitHub-Event` or `X-Shopify-Topic`,
    becomes the data of an event `github.…` or `shopify.…`. The `ping` of GitHub is answered with 204.
    """
    sent = await read(request)
    return await _publish(request, sent, caller, _from_client(sent))


async def publish_events(request: Request, caller: Publishing) -> Response:
    """Accept a batch of events: a JSON array, or NDJSON or a CloudEvents batch under their own media types.

    The answer is given once everything is on disk. An event that is refused does not affect the others.
    """
    sent = await read(request)
    return await _publish(request, sent, caller, _from_client(sent), only_batch=True)


for path, endpoint, answers, body in (
    ("/events", publish_event, _ONE, _request("order.created")),
    ("/events/batch", publish_events, _BATCH, _batch_request("order.created")),
):
    router.add_api_route(
        path,
        endpoint,
        methods=["POST"],
        status_code=202,
        responses=answers,
        openapi_extra=body,
        route_class_override=DirectRoute,
    )


# A path, because the id of an order or a user may have slashes in it: `gid://shopify/Order/1001`.
@router.post("/orders/{order_id:path}/events", status_code=202, responses=_ONE, openapi_extra=_request("order.paid"))
async def publish_order_event(request: Request, order_id: SubjectId, caller: Publishing) -> Response:
    """Accept an event of one order, or a batch: subject and `data.order_id` are filled in."""
    sent = await read(request)
    adapt = _about(sent, "order", f"orders/{order_id}", "order_id", order_id)
    return await _publish(request, sent, caller, adapt)


@router.post("/users/{user_id:path}/events", status_code=202, responses=_ONE, openapi_extra=_request("user.registered"))
async def publish_user_event(request: Request, user_id: SubjectId, caller: Publishing) -> Response:
    """Accept an event of one user, or a batch: subject and `data.user_id` are filled in."""
    sent = await read(request)
    adapt = _about(sent, "user", f"users/{user_id}", "user_id", user_id)
    return await _publish(request, sent, caller, adapt)


def _from_client(sent: Sent) -> Adapt:
    """Events have no name that is the hub's own. They carry the trace context of the request, or their own."""
    traceparent = current_traceparent(sent.headers.get("traceparent"))

    def adapt(event: ParsedEvent) -> ParsedEvent:
        refuse_reserved(event)
        return event if traceparent is None or event.traceparent else replace(event, traceparent=traceparent)

    return adapt


def _about(sent: Sent, family: str, subject: str, member: str, value: str) -> Adapt:
    from_client = _from_client(sent)

    def adapt(event: ParsedEvent) -> ParsedEvent:
        if not event.type.startswith(f"{family}."):
            raise Invalid("The type does not fit the path.", errors=[Fault(f"must begin with {family}.", "/type")])
        return fill_from_path(from_client(event), subject=subject, member=member, value=value)

    return adapt


async def _publish(
    request: Request, sent: Sent, caller: Principal, adapt: Adapt, *, only_batch: bool = False
) -> Response:
    services: Services = request.app.state.services
    settings = services.settings
    received = events_of(sent, adapt, max_events=settings.max_batch_events, max_event_bytes=settings.max_body_bytes)
    if only_batch and not isinstance(received, list):
        raise Invalid("Send an array of events; `POST /v1/events` takes a single one.")
    if received is None:
        return Response(status_code=204)
    idempotency = idempotency_of(request, sent)
    if isinstance(received, ParsedEvent):
        answer = await services.publisher.publish_one(caller.tenant, received, idempotency)
        (verdict,) = answer.verdicts
        content, headers = _accepted(received, verdict), location(services, f"/v1/events/{verdict.id}")
    else:
        answer = await services.publisher.publish(caller.tenant, received, idempotency)
        content, headers = {"items": [_item(received[verdict.index], verdict) for verdict in answer.verdicts]}, {}
    if answer.replayed:
        headers["Idempotency-Replayed"] = "true"
    return json_response(content, 202, headers)


def _accepted(event: ParsedEvent, verdict: ItemResult) -> dict[str, Any]:
    return {
        "id": verdict.id,
        "type": event.type,
        "status": "accepted",
        "duplicate": verdict.status == "duplicate",
        **_warnings(event),
    }


def _item(event: ParsedEvent | HubError, verdict: ItemResult) -> dict[str, Any]:
    item = {"index": verdict.index, "status": verdict.status, "id": verdict.id, "problem": verdict.problem}
    shown = {name: value for name, value in item.items() if value is not None}
    return shown if verdict.problem or isinstance(event, HubError) else {**shown, **_warnings(event)}


def _warnings(event: ParsedEvent) -> dict[str, Any]:
    return {"warnings": [_NO_ORDER]} if event.ordering_key else {}
