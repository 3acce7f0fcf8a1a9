"""Errors as RFC 9457 problems: rendered in one place, and documented for every route with `problems(…)`."""

import math
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, get_args

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from hub.errors import BadRequest, HubError, Invalid, MethodNotAllowed, NotFound
from hub.telemetry.request_context import current_request
from hub.validation import request_faults

MEDIA_TYPE = "application/problem+json"


class ProblemFault(BaseModel):
    detail: str
    pointer: str = Field(description="RFC 6901 pointer to the member that is at fault.", examples=["/data/total"])


class Problem(BaseModel):
    """An RFC 9457 problem. It never repeats what was sent."""

    type: str = Field(examples=["urn:notification-hub:problem:invalid"])
    title: str = Field(examples=["Invalid content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["The event does not match the schema of its type; see `errors`."])
    errors: list[ProblemFault] | None = None
    request_id: str | None = Field(
        default=None,
        description="The `X-Request-ID` of the answer, which is on every line that the hub logged for the request.",
        examples=["req_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"],
    )


def respond(error: HubError) -> Response:
    """The response of an error; `Retry-After` in whole seconds, rounded up (RFC 9110, section 10.2.3)."""
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after))
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    problem, request = error.problem(), current_request()
    if request is not None:
        problem["request_id"] = request.request_id
    return Response(orjson.dumps(problem), error.status, headers, MEDIA_TYPE)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route that can answer these errors."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def _from_validation(error: RequestValidationError, known: Iterable[str]) -> HubError:
    """Strips pydantic's errors of the input they carry."""
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return BadRequest("The body is not valid JSON.")
    return Invalid("The request breaks a rule; see `errors`.", errors=request_faults(error.errors(), known))


def _body_members(request: Request) -> Iterable[str]:
    """The members that the route of a request knows in its body, where that is an object."""
    route = request.scope.get("route")
    annotation = route.body_field.field_info.annotation if isinstance(route, APIRoute) and route.body_field else None
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind.model_fields
    return ()


def _from_http(error: HTTPException) -> HubError:
    """What the framework itself refuses: an unknown path, a method that a path does not have."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return NotFound("There is no route with this path; /docs shows all routes.")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return MethodNotAllowed("There is no route with this method for this path; /docs shows all routes.")
    return BadRequest("The request cannot be read.")


def install(app: FastAPI) -> None:
    """Make every error a problem. What nobody foresaw is raised on after its answer, for `RequestLog` to log it."""

    @app.exception_handler(HubError)
    async def hub_error(request: Request, error: HubError) -> Response:
        return respond(error)

    @app.exception_handler(RequestValidationError)
    async def validation_error(request: Request, error: RequestValidationError) -> Response:
        return respond(_from_validation(error, _body_members(request)))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        response = respond(_from_http(error))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> Response:
        return respond(HubError("Something went wrong here; try again, and look at the hub's log if it stays."))
