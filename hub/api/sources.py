"""Sources: creating and changing them, and taking the requests that their senders sign."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Body, Path, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, RootModel

from hub.api.access import CurrentServices, Manager
from hub.api.bodies import JsonRoute
from hub.api.components import reference
from hub.api.formats import read
from hub.api.paging import page_of
from hub.api.problems import problems
from hub.api.publishing import AcceptedEvent
from hub.api.shapes import Paging, json_response, listed, location
from hub.catalogue.sources import Source, SourceSpec, SourceView
from hub.catalogue.sources.model import Secret
from hub.catalogue.sources.schemes.base import REFUSED, BadSignature
from hub.errors import HubError, TooLarge, Unauthorized
from hub.media_types import JSON
from hub.publishing.event import ParsedEvent
from hub.publishing.sources import signed_event
from hub.runtime import Services
from hub.telemetry.request_context import identified
from hub.telemetry.tracing import current_traceparent

router = APIRouter(prefix="/v1/sources", tags=["sources"], route_class=JsonRoute)

DEFAULT_GRACE_SECONDS = 86_400
_log = structlog.get_logger(__name__)

SourceId = Annotated[str, Path(max_length=100, examples=["src_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])]


class SourceList(BaseModel):
    items: list[SourceView]
    next_cursor: str | None


class SourcePatch(RootModel[dict[str, Any]]):
    """A JSON merge patch (RFC 7396)."""


class NewSecret(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    secret: Secret
    grace_seconds: int = Field(
        default=DEFAULT_GRACE_SECONDS,
        ge=0,
        le=30 * 86_400,
        strict=True,
        description="How long requests that are signed with the old secret are accepted as well.",
    )


_EXAMPLES = {
    "github": {"secret": "It's a Secret to Everybody"},
    "stripe": {"secret": "whsec_5f2c9b1d8a7e4c3b2a1f0e9d"},
    "shopify": {"secret": "hush-hush-hush"},
    "standard": {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "type_prefix": ""},
    "hmac": {"secret": "It's a Secret to Everybody", "options": {"header": "X-Signature", "name_header": "X-Event"}},
}
NewSource = Annotated[
    SourceSpec,
    Body(
        openapi_examples={
            scheme: {"summary": scheme, "value": {"name": scheme, "scheme": scheme, **members}}
            for scheme, members in _EXAMPLES.items()
        }
    ),
]
_PATCH = {"schema": reference("SourcePatch"), "example": {"enabled": False}}
_PATCH_BODY = {"requestBody": {"required": True, "content": {JSON: _PATCH}}}


@router.post("", status_code=201, response_model=SourceView, responses=problems(400, 401, 403, 409, 413, 415, 422, 503))
async def create_source(new: NewSource, services: CurrentServices, caller: Manager) -> Response:
    """Create a source. From this answer on, `…/events` takes requests that are signed with its secret.

    The answer masks the secret, and no other shows it.
    """
    made = await services.sources.create(caller.tenant, new)
    return json_response(made.view(), 201, location(services, f"{router.prefix}/{made.id}"))


@router.get("", response_model=SourceList, responses=problems(401, 403, 422))
async def list_sources(services: CurrentServices, caller: Manager, page: Paging) -> Response:
    """Sources, newest first."""
    found = page_of(services.sources.listing(caller.tenant), page, lambda source: source.id, descending=True)
    return listed((source.view() for source in found.items), found.next_cursor)


@router.get("/{source_id}", response_model=SourceView, responses=problems(401, 403, 404, 409, 422))
async def get_source(source_id: SourceId, services: CurrentServices, caller: Manager) -> Response:
    """A source, its secret masked."""
    return json_response(services.sources.find(caller.tenant, source_id).view())


@router.patch(
    "/{source_id}",
    response_model=SourceView,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
    openapi_extra=_PATCH_BODY,
)
async def update_source(
    source_id: SourceId, patch: SourcePatch, services: CurrentServices, caller: Manager
) -> Response:
    """Replace the members that are given, each as a whole; null stands for its default.

    A secret that is sent back as it was shown, masked, stays as it is; another one replaces it at once.
    """
    return json_response((await services.sources.patch(caller.tenant, source_id, patch.root)).view())


@router.delete(
    "/{source_id}", status_code=204, response_class=Response, responses=problems(401, 403, 404, 409, 422, 503)
)
async def delete_source(source_id: SourceId, services: CurrentServices, caller: Manager) -> Response:
    """Delete a source. Its requests are refused from now on; the events that it announced stay."""
    await services.sources.delete(caller.tenant, source_id)
    return Response(status_code=204)


@router.post(
    "/{source_id}/rotate-secret",
    response_model=SourceView,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def rotate_source_secret(
    source_id: SourceId, new: NewSecret, services: CurrentServices, caller: Manager
) -> Response:
    """Take a new secret, and during the grace time the old one as well. Then change it at the sender."""
    grace = timedelta(seconds=new.grace_seconds)
    return json_response((await services.sources.rotate(caller.tenant, source_id, new.secret, grace)).view())


async def receive_source_event(request: Request, source_id: SourceId, services: CurrentServices) -> Response:
    """Accept what a sender announces. No key is needed: its signature, made with the source's secret, is the guard.

    An unknown source and a wrong signature are answered alike. A delivery that is repeated is a `duplicate`. 204 is the
    answer to a request that only tests the connection.
    """
    source = services.sources.receiving(source_id)
    if source is None:
        raise Unauthorized(REFUSED)
    identified(source.tenant)
    try:
        event = await _event(request, source, services)
        if event is None:
            return Response(status_code=204)
        answer = await services.publisher.publish_one(source.tenant, event, None)
    except HubError as refused:
        # The sender's own log is often out of reach of the person who set the source up.
        reason = refused.reason if isinstance(refused, BadSignature) else refused.detail
        _log.info("source.refused", source_id=source.id, status=refused.status, reason=reason)
        raise
    (verdict,) = answer.verdicts
    accepted = {"id": verdict.id, "type": event.type, "duplicate": verdict.status == "duplicate"}
    return json_response({"status": "accepted", **accepted}, 202, location(services, f"/v1/events/{verdict.id}"))


async def _event(request: Request, source: Source, services: Services) -> ParsedEvent | None:
    services.loop_lag.refuse_when_behind()
    headers, body = await read(request)
    limit = services.settings.max_body_bytes
    # A body that begins as an array came through under the limit of a batch; here it is the data of one event.
    if len(body) > limit:
        raise TooLarge(f"The body may have {limit} bytes at most; HUB_MAX_BODY_BYTES sets how many.")
    event = signed_event(source, headers, body, services.clock.now())
    return event and replace(event, traceparent=current_traceparent(headers.get("traceparent")))


router.add_api_route(
    "/{source_id}/events",
    receive_source_event,
    methods=["POST"],
    status_code=202,
    response_model=AcceptedEvent,
    responses={
        202: {
            "description": "Stored on disk.",
            "headers": {"Location": {"description": "Where the event is.", "schema": {"type": "string"}}},
        },
        204: {"description": "The request tests the connection, and announces nothing."},
        **problems(400, 401, 409, 413, 415, 422, 503),
    },
    # No key, and no scheme of the document: how a request is signed is the source's matter.
    openapi_extra={
        "security": [],
        "requestBody": {"required": True, "content": {JSON: {"schema": {}}}},
    },
    # The signature is about the bytes, so nothing reads the body before it is verified.
    route_class_override=APIRoute,
)
