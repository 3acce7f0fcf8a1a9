"""Who is asking: the key gives the tenant and the scopes, and nothing else in a request can.

Dependencies are coroutines, because the framework runs plain functions in threads, at ten times the cost. A caller is
one dependency and not a tree of them. See docs/decisions/0008.
"""

from base64 import b64decode
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from hub.catalogue.keys.model import Principal
from hub.errors import Forbidden, Unauthorized
from hub.models import Scope
from hub.runtime import Process, Services
from hub.telemetry.request_context import identified


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _process(request: Request) -> Process:
    process: Process = request.app.state.process
    return process


CurrentServices = Annotated[Services, Depends(_services)]
CurrentProcess = Annotated[Process, Depends(_process)]


class RequireScope(HTTPBearer):
    """A dependency that gives the caller, who holds at least one of the scopes (or `admin`).

    Raises `Unauthorized` without a valid key, `Forbidden` without the scope.
    """

    def __init__(self, *scopes: Scope) -> None:
        super().__init__(scheme_name="key", description="A key of a tenant: `Authorization: Bearer <key>`.")
        self._enough = frozenset(scopes) | {Scope.ADMIN}
        self.names = " or ".join(scopes)
        """For people."""

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override] # gives the caller, not the credentials
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized("Send a key as `Authorization: Bearer <key>`.")
        return self._holder(request, key)

    def _holder(self, request: Request, key: str) -> Principal:
        services: Services = request.app.state.services
        principal = services.keys.identify(key.strip())
        identified(principal.tenant, principal.key_id)
        if not self._enough & principal.scopes:
            raise Forbidden(f"This key lacks the scope {self.names}; ask an administrator for one that has it.")
        return principal


SENDERS = {
    "apiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "For senders that cannot set `Authorization`.",
    },
    "basic": {
        "type": "http",
        "scheme": "basic",
        "description": "For senders that are given a URL only, such as `https://any:<key>@…`: the key is the password. "
        "In a browser it works for the pages of `HUB_CORS_ORIGINS` only.",
    },
}
"""The security schemes of OpenAPI that `RequirePublisher` adds. Not as dependencies, which each request would solve."""


class RequirePublisher(RequireScope):
    """As `RequireScope`, for senders of events, some of which cannot set a bearer key: they send it as `X-API-Key`, or
    as the password of HTTP Basic.

    Raises `Forbidden` also for HTTP Basic with an `Origin` that is not among `HUB_CORS_ORIGINS`: browsers keep such a
    password, and send it with what any page asks for. For the same reason no answer asks for one. See
    docs/decisions/0019.

    Raises `Unavailable` before all else while the event loop is so far behind that no event should be accepted.
    """

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override] # as above
        services: Services = request.app.state.services
        services.loop_lag.refuse_when_behind()
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._holder(request, credentials)
        key = request.headers.get("x-api-key")
        if key is None:
            key = _password(request, credentials) if scheme.lower() == "basic" else None
        if key is None:
            raise Unauthorized(
                "Send a key as `Authorization: Bearer <key>`, as `X-API-Key: <key>`, or as the password of HTTP Basic."
            )
        return self._holder(request, key)


def _password(request: Request, credentials: str) -> str | None:
    """RFC 7617, section 2, in UTF-8; None for what cannot be read."""
    origin = request.headers.get("origin")
    services: Services = request.app.state.services
    if origin is not None and origin not in services.settings.cors_origins:
        raise Forbidden("Pages may use HTTP Basic only from an origin that is in HUB_CORS_ORIGINS.")
    try:
        return b64decode(credentials, validate=True).decode().partition(":")[2]
    except ValueError:
        return None


PublisherOrManager = Annotated[Principal, Depends(RequireScope(Scope.EVENTS_WRITE, Scope.MANAGE))]
AnyScope = Annotated[Principal, Depends(RequireScope(Scope.READ, Scope.EVENTS_WRITE, Scope.MANAGE))]
Reader = Annotated[Principal, Depends(RequireScope(Scope.READ))]
Manager = Annotated[Principal, Depends(RequireScope(Scope.MANAGE))]
Admin = Annotated[Principal, Depends(RequireScope(Scope.ADMIN))]
