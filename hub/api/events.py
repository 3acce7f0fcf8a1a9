"""Reading and explaining events, cancelling them, and replaying them."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from hub.api.access import CurrentServices, Manager, PublisherOrManager, Reader
from hub.api.bodies import JsonRoute
from hub.api.problems import problems
from hub.api.shapes import (
    DeliveryList,
    DeliveryView,
    EventDetail,
    EventList,
    KnownParameters,
    Paging,
    SearchText,
    Since,
    TypePattern,
    Until,
    json_response,
    page_response,
    shown_delivery,
    shown_event,
)
from hub.dispatch.deliveries import Explained
from hub.runtime import Services
from hub.stores.base import DeliveryQuery, EventQuery

router = APIRouter(prefix="/v1", tags=["events"], route_class=JsonRoute)

EventId = Annotated[str, Path(max_length=100, examples=["evt_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])]


class ExplanationView(BaseModel):
    subscription_id: str
    subscription_name: str | None = Field(examples=["order log"], description="Null once the subscription is deleted.")
    channel: str = Field(examples=["webhook"])
    outcome: Explained
    reason: str = Field(examples=["data.total gte 100: was below"])


class ExplanationList(BaseModel):
    items: list[ExplanationView]


class ReplayRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    subscription_ids: list[str] | None = Field(default=None, max_length=1_000)


class ReplayedDeliveries(BaseModel):
    """The deliveries that are sent again."""

    items: list[DeliveryView]


@router.get("/events", response_model=EventList, responses=problems(400, 401, 403, 422, 503))
async def list_events(
    services: CurrentServices,
    caller: Reader,
    page: Paging,
    type: TypePattern,
    q: SearchText = None,
    subject: Annotated[str | None, Query(max_length=1_024, examples=["orders/1001"])] = None,
    since: Since = None,
    until: Until = None,
) -> Response:
    """Events, newest first."""
    query = EventQuery(type, subject, since, until)
    listing = await services.search.events(caller.tenant, q, query, page)
    return page_response(listing, map(shown_event, listing.items))


@router.get("/events/{event_id}", response_model=EventDetail, responses=problems(401, 403, 404, 422, 503))
async def get_event(event_id: EventId, services: CurrentServices, caller: Reader) -> Response:
    """An event, with how many of its deliveries are in each status."""
    return json_response(await _detail(services, caller.tenant, event_id))


@router.get(
    "/events/{event_id}/deliveries", response_model=DeliveryList, responses=problems(400, 401, 403, 404, 422, 503)
)
async def list_event_deliveries(event_id: EventId, services: CurrentServices, caller: Reader, page: Paging) -> Response:
    """An event's deliveries, newest first."""
    await services.events.find(caller.tenant, event_id)
    listing = await services.search.deliveries(caller.tenant, None, DeliveryQuery(event_id=event_id), page)
    return page_response(listing, (shown_delivery(one, services.subscriptions.name_of) for one in listing.items))


@router.get("/events/{event_id}/explain", response_model=ExplanationList, responses=problems(401, 403, 404, 422, 503))
async def explain_event(
    event_id: EventId, services: CurrentServices, caller: Reader, known: KnownParameters
) -> Response:
    """What became of the event for each subscription of the tenant, and why."""
    explanations = await services.deliveries.explain(caller.tenant, event_id)
    return json_response({"items": [asdict(explanation) for explanation in explanations]})


@router.delete("/events/{event_id}", response_model=EventDetail, responses=problems(401, 403, 404, 422, 503))
async def cancel_event(event_id: EventId, services: CurrentServices, caller: PublisherOrManager) -> Response:
    """Cancel what is not yet sent, and answer when that is done. An attempt under way is not interrupted, and not
    repeated when it fails."""
    await services.deliveries.cancel_event(caller.tenant, event_id)
    return json_response(await _detail(services, caller.tenant, event_id))


@router.post(
    "/events/{event_id}/replay",
    status_code=202,
    response_model=ReplayedDeliveries,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def replay_event(
    event_id: EventId, services: CurrentServices, caller: Manager, wanted: ReplayRequest | None = None
) -> Response:
    """Send an event again to all, or some, of the subscriptions that were to get it: new attempts, same message id.

    What was for a deleted subscription stays as it is; 409 when that is all, or when one that is named is deleted.
    """
    only = wanted.subscription_ids if wanted else None
    replayed = await services.deliveries.replay_event(caller.tenant, event_id, only)
    return json_response({"items": [shown_delivery(one, services.subscriptions.name_of) for one in replayed]}, 202)


async def _detail(services: Services, tenant: str, event_id: str) -> dict[str, object]:
    event = await services.events.find(tenant, event_id)
    counts = await services.deliveries.counts(tenant, DeliveryQuery(event_id=event_id))
    return {**shown_event(event), "deliveries": {status.value: number for status, number in counts.items()}}
