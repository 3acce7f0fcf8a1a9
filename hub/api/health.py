"""Whether the process is alive and ready, and what it counts: for orchestrators and Prometheus, without a key."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from hub.api.access import CurrentProcess
from hub.api.shapes import json_response

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    status: Literal["ready"] = "ready"
    warnings: list[str] | None = Field(
        default=None,
        description="What is wrong elsewhere in the hub, or which setting holds deliveries back. Sending requests to "
        "another process does not help.",
        examples=[["No worker is alive: events are accepted and wait. Start `hub worker`."]],
    )


class NotReady(BaseModel):
    status: Literal["not_ready"] = "not_ready"
    reasons: list[str] = Field(examples=[["The hub is stopping."]])


@router.get("/livez", response_model=Alive)
async def get_liveness() -> Response:
    """The process answers."""
    return json_response({"status": "ok"})


@router.get(
    "/readyz",
    response_model=Ready,
    responses={503: {"model": NotReady, "description": "Send requests elsewhere; each reason says what to do."}},
)
async def get_readiness(process: CurrentProcess) -> Response:
    """The process can do the work of its roles: accept events, deliver them, run the schedules."""
    if reasons := await process.readiness.reasons():
        return json_response({"status": "not_ready", "reasons": reasons}, 503)
    warnings = await process.readiness.warnings()
    return json_response({"status": "ready", **({"warnings": warnings} if warnings else {})})


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def get_metrics(request: Request, process: CurrentProcess) -> Response:
    """What this process counts; from a process that runs schedules, also what waits in the whole hub."""
    if process.backlog is not None:
        await process.backlog.refresh()
    body, media_type = process.core.metrics.render(request.headers.get("accept", ""))
    return Response(body, media_type=media_type)
