"""Who is asking: the bearer key gives the tenant and the scopes, and nothing else in a request can.

Dependencies are coroutines, because the framework runs plain functions in threads, at ten times the cost. A caller is
one dependency and not a tree of them. See docs/decisions/0008.
"""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from hub.catalogue.keys.model import Principal
from hub.errors import Forbidden, Unauthorized
from hub.models import Scope
from hub.runtime import Process, Services


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
        services: Services = request.app.state.services
        principal = services.keys.identify(key.strip())
        if not self._enough & principal.scopes:
            raise Forbidden(f"This key lacks the scope {self.names}; ask an administrator for one that has it.")
        return principal


PublisherOrManager = Annotated[Principal, Depends(RequireScope(Scope.EVENTS_WRITE, Scope.MANAGE))]
AnyScope = Annotated[Principal, Depends(RequireScope(Scope.READ, Scope.EVENTS_WRITE, Scope.MANAGE))]
Reader = Annotated[Principal, Depends(RequireScope(Scope.READ))]
Manager = Annotated[Principal, Depends(RequireScope(Scope.MANAGE))]
Admin = Annotated[Principal, Depends(RequireScope(Scope.ADMIN))]
