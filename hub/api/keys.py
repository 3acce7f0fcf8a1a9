"""API keys and tenants. Only keys with the scope `admin` may use these routes, and those act for the whole hub."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from hub.api.access import Admin, CurrentServices
from hub.api.bodies import JsonRoute
from hub.api.paging import page_of
from hub.api.problems import problems
from hub.api.shapes import NO_STORE, Paging, json_response, listed, location
from hub.catalogue.keys.model import IssuedKey, KeyView, NewKey, NewTenant, Tenant
from hub.catalogue.keys.service import view

router = APIRouter(prefix="/v1", tags=["keys"], route_class=JsonRoute)

KeyId = Annotated[str, Path(max_length=100, examples=["key_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])]


class KeyList(BaseModel):
    items: list[KeyView]
    next_cursor: str | None


class TenantList(BaseModel):
    items: list[Tenant]
    next_cursor: str | None


@router.post(
    "/keys", status_code=201, response_model=IssuedKey, responses=problems(400, 401, 403, 409, 413, 415, 422, 503)
)
async def create_key(new: NewKey, services: CurrentServices, caller: Admin) -> Response:
    """Create a key. It is in this answer, and it is never shown again.

    The scope `admin` is the operator's: such a key manages the keys and tenants of the whole hub.
    """
    issued = await services.keys.issue(new)
    return json_response(issued, 201, {**location(services, f"/v1/keys/{issued.id}"), **NO_STORE})


@router.get("/keys", response_model=KeyList, responses=problems(401, 403, 422))
async def list_keys(services: CurrentServices, caller: Admin, page: Paging) -> Response:
    """The keys of every tenant, newest first. The admin key of the settings is not among them."""
    found = page_of(services.keys.listing(), page, lambda key: key.id, descending=True)
    return listed(map(view, found.items), found.next_cursor)


@router.get("/keys/{key_id}", response_model=KeyView, responses=problems(401, 403, 404, 422))
async def get_key(key_id: KeyId, services: CurrentServices, caller: Admin) -> Response:
    """What a key may do."""
    return json_response(view(services.keys.find(key_id)))


@router.delete(
    "/keys/{key_id}", status_code=204, response_class=Response, responses=problems(401, 403, 404, 409, 422, 503)
)
async def revoke_key(key_id: KeyId, services: CurrentServices, caller: Admin) -> Response:
    """Revoke a key. Once this is answered, requests with the key are refused."""
    await services.keys.revoke(key_id)
    return Response(status_code=204)


@router.post(
    "/tenants", status_code=201, response_model=Tenant, responses=problems(400, 401, 403, 409, 413, 415, 422, 503)
)
async def create_tenant(new: NewTenant, services: CurrentServices, caller: Admin) -> Response:
    """Create a tenant. Keys can then be created for it."""
    return json_response(await services.keys.create_tenant(new), 201)


@router.get("/tenants", response_model=TenantList, responses=problems(401, 403, 422))
async def list_tenants(services: CurrentServices, caller: Admin, page: Paging) -> Response:
    """Tenants, by id."""
    found = page_of(services.keys.tenants(), page, lambda tenant: tenant.id)
    return listed(found.items, found.next_cursor)
