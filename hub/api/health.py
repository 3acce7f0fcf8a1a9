"""Is it alive, is it ready, and what does it count: for orchestrators and Prometheus, without a key."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from hub.api.access import CurrentHub
from hub.api.shapes import json_response

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"


class NotReady(BaseModel):
    status: Literal["not_ready"] = "not_ready"
    reasons: list[str] = Field(examples=[["The hub is stopping."]])


@router.get("/livez", response_model=Alive)
async def live() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    response_model=Ready,
    responses={503: {"model": NotReady, "description": "Send requests elsewhere; each reason says what to do."}},
)
async def ready(hub: CurrentHub) -> Response:
    """Events are taken, and delivered."""
    reasons = [*await hub.store.upkeep.check()]
    if hub.dispatcher.stopping:
        reasons.append("The hub is stopping.")
    if reasons:
        return json_response({"status": "not_ready", "reasons": reasons}, 503)
    return json_response({"status": "ready"})


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def metrics(request: Request, hub: CurrentHub) -> Response:
    """What the hub counts."""
    body, media_type = hub.metrics.render(request.headers.get("accept", ""))
    return Response(body, media_type=media_type)
