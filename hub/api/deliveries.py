"""Reading deliveries, replaying them, and cancelling them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from hub.api.access import CurrentServices, Manager, Reader
from hub.api.problems import problems
from hub.api.shapes import (
    DeliveryDetail,
    DeliveryList,
    DeliveryView,
    Paging,
    SearchText,
    Since,
    TypePattern,
    Until,
    json_response,
    page_response,
    shown_delivery,
    wrong_channel,
    wrong_ids,
)
from hub.errors import Invalid
from hub.models import Status
from hub.stores.base import DeliveryQuery

router = APIRouter(prefix="/v1/deliveries", tags=["deliveries"])

DeliveryId = Annotated[str, Path(max_length=100, examples=["dlv_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])]


@router.get("", response_model=DeliveryList, responses=problems(400, 401, 403, 422, 503))
async def list_deliveries(
    services: CurrentServices,
    caller: Reader,
    page: Paging,
    type: TypePattern,
    q: SearchText = None,
    status: Annotated[Status | None, Query(description="`dead` lists the dead letters.")] = None,
    subscription_id: Annotated[str | None, Query(max_length=100)] = None,
    event_id: Annotated[str | None, Query(max_length=100)] = None,
    channel: Annotated[str | None, Query(max_length=50, examples=["webhook"])] = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Deliveries, newest first. `since` and `until` are about when they were created."""
    if wrong := [*wrong_ids(event_id, subscription_id), *wrong_channel(services, caller.tenant, channel)]:
        raise Invalid("The query selects by something that does not exist; see `errors`.", errors=wrong)
    query = DeliveryQuery(
        status=status,
        subscription_ids=None if subscription_id is None else frozenset({subscription_id}),
        event_id=event_id,
        channel=channel,
        type=type,
        since=since,
        until=until,
    )
    listing = await services.search.deliveries(caller.tenant, q, query, page)
    return page_response(listing, (shown_delivery(one, services.subscriptions.name_of) for one in listing.items))


@router.get("/{delivery_id}", response_model=DeliveryDetail, responses=problems(401, 403, 404, 422, 503))
async def get_delivery(delivery_id: DeliveryId, services: CurrentServices, caller: Reader) -> Response:
    """A delivery, with every attempt that was made."""
    delivery = await services.deliveries.delivery(caller.tenant, delivery_id)
    attempts = await services.deliveries.attempts(caller.tenant, delivery_id)
    return json_response({**shown_delivery(delivery, services.subscriptions.name_of), "attempts": attempts})


@router.post(
    "/{delivery_id}/replay",
    status_code=202,
    response_model=DeliveryView,
    responses=problems(401, 403, 404, 409, 413, 422, 503),
)
async def replay_delivery(delivery_id: DeliveryId, services: CurrentServices, caller: Manager) -> Response:
    """Send again, from now, with the whole retry schedule: new attempts, same message id. 409 when its subscription is
    deleted."""
    replayed = await services.deliveries.replay(caller.tenant, delivery_id)
    return json_response(shown_delivery(replayed, services.subscriptions.name_of), 202)


@router.post(
    "/{delivery_id}/cancel", response_model=DeliveryView, responses=problems(401, 403, 404, 409, 413, 422, 503)
)
async def cancel_delivery(delivery_id: DeliveryId, services: CurrentServices, caller: Manager) -> Response:
    """End a delivery that has not been sent."""
    cancelled = await services.deliveries.cancel(caller.tenant, delivery_id)
    return json_response(shown_delivery(cancelled, services.subscriptions.name_of))
