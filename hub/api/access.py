"""Who is asking: the bearer key gives the tenant and the scopes, and nothing else in a request can."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from hub.errors import Forbidden, Unauthorized
from hub.keys import Principal
from hub.models import Scope
from hub.runtime import Hub

bearer = HTTPBearer(auto_error=False, description="An API key of a tenant, as `Authorization: Bearer <key>`.")


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


CurrentHub = Annotated[Hub, Depends(_hub)]


def needs(*scopes: Scope) -> Callable[..., Principal]:
    """A dependency that gives the caller, who holds at least one of the scopes (or `admin`)."""
    enough = frozenset(scopes) | {Scope.ADMIN}
    names = " or ".join(scopes)

    def caller(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
    ) -> Principal:
        if credentials is None:
            raise Unauthorized("Send a key as `Authorization: Bearer <key>`.")
        principal = _hub(request).keys.identify(credentials.credentials)
        if not enough & principal.scopes:
            raise Forbidden(f"This key lacks the scope {names}; ask an administrator for one that has it.")
        return principal

    return caller


Publishing = Annotated[Principal, Depends(needs(Scope.EVENTS_WRITE))]
Cancelling = Annotated[Principal, Depends(needs(Scope.EVENTS_WRITE, Scope.MANAGE))]
Looking = Annotated[Principal, Depends(needs(Scope.READ, Scope.EVENTS_WRITE, Scope.MANAGE))]
Reader = Annotated[Principal, Depends(needs(Scope.READ))]
Manager = Annotated[Principal, Depends(needs(Scope.MANAGE))]
Admin = Annotated[Principal, Depends(needs(Scope.ADMIN))]
