"""The live stream over HTTP, and the tickets that open it where a client cannot set headers."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, Field
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from hub.api.access import CurrentServices, Reader, RequireScope
from hub.api.problems import problems
from hub.api.shapes import NO_STORE, check_parameters, json_response, wrong_ids
from hub.catalogue.keys.model import Principal
from hub.catalogue.patterns import is_pattern
from hub.errors import Fault, Invalid, Unavailable
from hub.instants import UNESCAPED_PLUS
from hub.models import Scope as KeyScope
from hub.models import Status
from hub.runtime import Services
from hub.stream import EARLIEST, Selection
from hub.telemetry.request_context import identified

router = APIRouter(prefix="/v1", tags=["live"])

SEND_SECONDS = 15.0
"""How long a client may take to make room for the next bytes."""
FAREWELL_SECONDS = 2.0
"""How long connections may take to end by themselves at shutdown."""
MAX_TYPES = 50
_TOLD_STATUSES = {Status.PENDING, Status.DELIVERED, Status.DEAD, Status.CANCELLED}
"""Those that a delivery can have in an entry of the stream."""

_log = structlog.get_logger(__name__)
_with_key = RequireScope(KeyScope.READ)

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Server-Sent Events. The status is 200 on overload and shutdown too: then the stream holds "
        "`retry:` and ends, because an EventSource never comes back from another status.",
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": "retry: 2210\nid: 1042\nevent: delivery.delivered\n"
                'data: {"id":"dlv_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c","status":"delivered"}\n\n',
            }
        },
    }
}


class EventStream(EventSourceResponse):
    """Server-Sent Events that end when the client has stopped reading."""

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        super().init_headers(headers)
        # Whether the connection goes on is the server's to say, and to a client of HTTP/1.0 it says that it does not.
        del self.headers["connection"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            _log.info("listener.dropped", reason="stopped reading")
            # Waits for the connection to end: when the kernel drops it (`hub.server.sockets`), or when the client reads
            # again.
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class Ticket(BaseModel):
    ticket: str = Field(examples=["q3v0…"], description="For `GET /v1/stream?ticket=…`, within 60 seconds.")
    expires_at: datetime = Field(description="From this instant on it re-opens its stream no more.")


TicketText = Annotated[
    str | None,
    Query(alias="ticket", max_length=100, description="Instead of a key; re-opens only the stream that it opened."),
]


async def _key_holder(request: Request, ticket: TicketText = None) -> Principal | None:
    """The holder of the key; None with a ticket, which stands for one."""
    return await _with_key(request) if ticket is None else None


async def _selection(
    types: Annotated[
        list[str] | None,
        Query(
            description="Patterns (exact, `order.*`, `*`), comma-separated or repeated. One of them must match the "
            "event type of an entry, or its own name in the stream: `delivery.dead`, `task.*`. A name that nothing "
            "can have is refused, unless the stream is resumed.",
            examples=[["order.*"]],
        ),
    ] = None,
    event_id: Annotated[str | None, Query(description="Only what concerns this event: `evt_…`.")] = None,
    subscription_id: Annotated[str | None, Query(description="Only what concerns this subscription: `sub_…`.")] = None,
    statuses: Annotated[
        list[str] | None,
        Query(
            description="Only deliveries that reached one of these, comma-separated or repeated: `pending` (after an "
            "attempt that failed), `delivered`, `dead`, `cancelled`. The stream has no entry for `held` and `sending`.",
            examples=[["dead"]],
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
    if not names <= set(Status) or (names and not names & _TOLD_STATUSES):
        told = ", ".join(status for status in Status if status in _TOLD_STATUSES)
        detail = f"must be some of {told}; a delivery becomes held or sending without an entry in the stream"
        wrong.append(Fault(detail, "/query/statuses"))
    wrong += wrong_ids(event_id, subscription_id)
    if wrong:
        raise Invalid("A filter of the stream is malformed.", errors=wrong)
    return Selection(tuple(sorted(patterns)), event_id or None, subscription_id or None, frozenset(map(Status, names)))


def _parts(values: Iterable[str] | None) -> set[str]:
    return {part.strip() for value in values or () for part in value.split(",") if part.strip()}


@router.get(
    "/stream",
    response_class=EventStream,
    responses={**_STREAM, **problems(401, 403, 422)},
    openapi_extra={"security": [{"key": []}, {}]},
)
async def follow_stream(
    request: Request,
    services: CurrentServices,
    caller: Annotated[Principal | None, Depends(_key_holder)],
    selection: Annotated[Selection, Depends(_selection)],
    ticket: TicketText = None,
    last_event_id: Annotated[
        str | None, Query(description="A cursor to go on after, or `earliest`: the oldest kept. By default: now.")
    ] = None,
    polyfill_event_id: Annotated[str | None, Query(alias="lastEventId", include_in_schema=False)] = None,
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

    `cursor`, with `{}`, only moves the cursor. A quiet stream has a comment every 15 seconds. A connection ends after
    some ten minutes, when it is read too slowly, when the hub stops, or when its key is revoked.
    """
    if not last_event_id_header:
        # A stream that was opened before goes on, also where an older version of the hub ignored what is unknown.
        check_parameters(request)
    # Polyfills that set headers add their cursor to the address, in which `last_event_id` is the page's older one.
    cursor = last_event_id_header or polyfill_event_id or last_event_id or None
    if caller is None:
        chunks = await _with_ticket(services, ticket or "", selection, cursor)
    else:
        _check_types(services, caller.tenant, selection, cursor)
        is_allowed = partial(services.keys.is_valid, caller)
        chunks = await services.stream.listen(caller.tenant, selection, cursor, is_allowed)
    return EventStream(
        chunks,
        # The stream has its own heartbeat, which also keeps the cursor fresh.
        ping=0,
        send_timeout=SEND_SECONDS,
        shutdown_event=services.stream.closing,
        shutdown_grace_period=FAREWELL_SECONDS,
    )


def _check_types(services: Services, tenant: str, selection: Selection, cursor: str | None) -> None:
    # A stream that was opened before goes on, also when a type was deleted meanwhile.
    if cursor in {None, EARLIEST}:
        services.known_types.check(tenant, selection.types)


async def _with_ticket(
    services: Services, ticket: str, selection: Selection, cursor: str | None
) -> AsyncGenerator[bytes, None]:
    try:
        connection = await services.tickets.open(ticket, selection)
        identified(connection.caller.tenant, connection.caller.key_id)
    except Unavailable:
        # Not a problem with its status, from which an EventSource would never come back.
        return services.stream.refuse_unavailable()
    _check_types(services, connection.caller.tenant, selection, cursor)
    is_allowed = partial(services.tickets.is_current, connection)
    chunks = await services.stream.listen(connection.caller.tenant, selection, cursor, is_allowed)
    return services.tickets.hold(connection, chunks)


@router.post("/stream-tickets", status_code=201, response_model=Ticket, responses=problems(401, 403))
async def issue_stream_ticket(services: CurrentServices, caller: Reader) -> Response:
    """A ticket that opens the stream as the caller: for clients that cannot set headers.

    It has to be opened within a minute. From then on it re-opens the same stream, with the same filters, until ten
    minutes after its last connection has ended, until `expires_at`, or until its key is no longer valid. It has one
    connection at a time: a new one ends the former.
    """
    issued = await services.tickets.issue(caller)
    return json_response({"ticket": issued.text, "expires_at": issued.expires_at}, 201, NO_STORE)
