"""The live stream over HTTP, and the tickets that open it where a client cannot set headers."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from hub.api.access import CurrentServices, Reader, RequireScope
from hub.api.problems import problems
from hub.api.shapes import NO_STORE, json_response
from hub.catalogue.keys.model import Principal
from hub.catalogue.patterns import is_pattern
from hub.errors import Fault, Invalid, Unauthorized
from hub.instants import UNESCAPED_PLUS
from hub.models import Scope as KeyScope
from hub.models import Status
from hub.stream import Selection

router = APIRouter(prefix="/v1", tags=["live"])

SEND_SECONDS = 15.0
"""How long a client may take to make room for the next bytes."""
FAREWELL_SECONDS = 2.0
"""How long connections may take to end by themselves at shutdown."""
MAX_TYPES = 50

_log = structlog.get_logger(__name__)
_with_key = RequireScope(KeyScope.READ)

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-Sent Events. The status is 200 on overload and shutdown too: then the stream holds "
        "`retry:` and ends, because an EventSource never comes back from another status.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": "retry: 2210\n\nid: 1042\nevent: delivery.delivered\n"
                'data: {"id":"dlv_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c","status":"delivered"}\n\n',
            }
        },
    }
}


class EventStream(EventSourceResponse):
    """Server-Sent Events that end when the client has stopped reading."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            _log.info("listener.dropped", reason="stopped reading")
            # Waits for the connection to end: when the kernel drops it (`hub.server.sockets`), or when the client reads
            # again.
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class Ticket(BaseModel):
    ticket: str = Field(examples=["q3v0…"], description="For `GET /v1/stream?ticket=…`, once, within 60 seconds.")


async def _listening(
    request: Request,
    services: CurrentServices,
    ticket: Annotated[str | None, Query(max_length=100, description="Instead of a key; works once.")] = None,
) -> Principal:
    if ticket is None:
        return await _with_key(request)
    principal = await services.tickets.redeem(ticket)
    # The ticket proves only that the key was valid up to a minute ago.
    if not services.keys.is_valid(principal):
        raise Unauthorized("The key that this ticket was made with is expired or revoked.")
    return principal


async def _selection(
    types: Annotated[
        list[str] | None,
        Query(
            description="Patterns (exact, `order.*`, `*`), comma-separated or repeated. One of them must match the "
            "event type of an entry, or its own name in the stream: `delivery.dead`, `task.*`.",
            examples=[["order.*"]],
        ),
    ] = None,
    event_id: Annotated[str | None, Query(description="Only what concerns this event.")] = None,
    subscription_id: Annotated[str | None, Query(description="Only what concerns this subscription.")] = None,
    statuses: Annotated[
        list[str] | None,
        Query(
            description="Only deliveries that reached one of these, comma-separated or repeated.", examples=[["dead"]]
        ),
    ] = None,
) -> Selection:
    """All filters that are given must hold; an entry that lacks what a filter asks for is not shown."""
    patterns, names = _parts(types), _parts(statuses)
    wrong = []
    if len(patterns) > MAX_TYPES or not all(map(is_pattern, patterns)):
        hint = UNESCAPED_PLUS if any(" " in pattern for pattern in patterns) else ""
        detail = f"must be at most {MAX_TYPES} event types, prefixes such as `order.*`, or `*`{hint}"
        wrong.append(Fault(detail, "/query/types"))
    if not names <= set(Status):
        wrong.append(Fault(f"must be among {', '.join(Status)}", "/query/statuses"))
    if wrong:
        raise Invalid("A filter of the stream is malformed.", errors=wrong)
    return Selection(tuple(sorted(patterns)), event_id, subscription_id, frozenset(map(Status, names)))


def _parts(values: Iterable[str] | None) -> set[str]:
    return {part.strip() for value in values or () for part in value.split(",") if part.strip()}


@router.get(
    "/stream",
    response_class=EventStream,
    responses={**_STREAM, **problems(401, 403, 422)},
    openapi_extra={"security": [{"key": []}, {}]},
)
async def follow_stream(
    services: CurrentServices,
    caller: Annotated[Principal, Depends(_listening)],
    selection: Annotated[Selection, Depends(_selection)],
    last_event_id: Annotated[
        str | None, Query(description="A cursor to go on after, or `earliest`: the oldest kept. By default: now.")
    ] = None,
    last_event_id_header: Annotated[
        str | None, Header(alias="Last-Event-ID", description="Wins over the query; `EventSource` sends it by itself.")
    ] = None,
) -> EventStream:
    """Every state change, as it happens, in order and without holes.

    Events: `event.accepted`, `delivery.attempted`, `delivery.delivered`, `delivery.dead`, `delivery.cancelled`,
    `subscription.disabled`, `subscription.enabled`, `task.updated`, and `gap`. Each has the cursor as `id:` and one
    line of JSON as `data:`, the object as REST shows it, without bodies.

    `gap` is `{"oldest", "requested"}`: entries are missing. After a cursor that is older than what is kept, the stream
    goes on with everything that is kept; after one that the hub never gave out or cannot read, with what is new.

    A block without data only moves the cursor; on a quiet stream one comes every 15 seconds, with a comment. A
    connection ends after some ten minutes, when it is read too slowly, when the hub stops, or when its key is revoked.
    """
    chunks = await services.stream.listen(
        caller.tenant, selection, last_event_id_header or last_event_id or None, partial(services.keys.is_valid, caller)
    )
    return EventStream(
        chunks,
        # The stream has its own heartbeat, which also keeps the cursor fresh.
        ping=0,
        send_timeout=SEND_SECONDS,
        shutdown_event=services.stream.closing,
        shutdown_grace_period=FAREWELL_SECONDS,
    )


@router.post("/stream-tickets", status_code=201, response_model=Ticket, responses=problems(401, 403))
async def issue_stream_ticket(services: CurrentServices, caller: Reader) -> Response:
    """A ticket that opens the stream once, within a minute, as the caller: for clients that cannot set headers."""
    return json_response({"ticket": await services.tickets.issue(caller)}, 201, NO_STORE)
