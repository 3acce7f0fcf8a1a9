"""Subscriptions: creating and changing them, the health of their targets, and sending a sample."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Response
from pydantic import BaseModel, ConfigDict, Field, RootModel, model_validator

from channels import load_channels
from hub.api.access import CurrentServices, Manager
from hub.api.bodies import JsonRoute
from hub.api.components import reference
from hub.api.paging import page_of
from hub.api.problems import problems
from hub.api.shapes import NO_STORE, DeliveryView, Paging, json_response, listed, location, shown_delivery
from hub.catalogue.subscriptions import Subscription, SubscriptionSpec, SubscriptionView
from hub.catalogue.subscriptions.service import signed_target
from hub.dispatch.health import Health
from hub.dispatch.send_test import SendTestRequest, SendTestResult, addressed, send_test
from hub.media_types import JSON
from hub.models import Status
from hub.runtime import Services
from hub.stores.base import DeliveryQuery, Page

router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"], route_class=JsonRoute)

DEFAULT_GRACE_SECONDS = 86_400

SubscriptionId = Annotated[str, Path(max_length=100, examples=["sub_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c"])]


class SubscriptionList(BaseModel):
    items: list[SubscriptionView]
    next_cursor: str | None


class HealthView(Health):
    pending: int = Field(description="Deliveries that wait, held ones among them.", examples=[0])
    last_delivery: DeliveryView | None = Field(description="The newest one.")


class SubscriptionDetail(SubscriptionView):
    health: HealthView


class Replacement(SubscriptionSpec):
    """A subscription as `PUT` takes it."""

    @model_validator(mode="before")
    @classmethod
    def _without_what_only_the_hub_writes(cls, document: Any) -> Any:
        if not isinstance(document, dict):
            return document
        shown_only = SubscriptionDetail.model_fields.keys() - SubscriptionSpec.model_fields.keys()
        return {name: value for name, value in document.items() if name not in shown_only}


class Trial(SendTestResult):
    """How the target answered the sample."""


class SubscriptionPatch(RootModel[dict[str, Any]]):
    """A JSON merge patch (RFC 7396)."""


class Secret(BaseModel):
    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


class Rotation(BaseModel):
    model_config = ConfigDict(extra="forbid")

    grace_seconds: int = Field(
        default=DEFAULT_GRACE_SECONDS,
        ge=0,
        le=30 * 86_400,
        strict=True,
        description="How long messages are signed with the old secret as well.",
    )


def _new(kind: str, target: type[BaseModel]) -> dict[str, Any]:
    """An example of a subscription to this channel."""
    value = {"name": "new orders", "event_types": ["order.*"], "channel": kind}
    return {"summary": kind, "value": {**value, "target": target.model_json_schema().get("examples", [{}])[0]}}


NewSubscription = Annotated[
    SubscriptionSpec,
    Body(openapi_examples={kind: _new(kind, channel.Target) for kind, channel in load_channels().items()}),
]
_PATCH = {
    "schema": reference("SubscriptionPatch"),
    "example": {"filter": {"data.total": {"gte": 100}}, "template": None},
}
# One media type, although both are taken: openapi-python-client makes code that fails of an operation with two bodies.
_PATCH_BODY = {"requestBody": {"required": True, "content": {JSON: _PATCH}}}


@router.post(
    "",
    status_code=201,
    response_model=SubscriptionView,
    responses=problems(400, 401, 403, 409, 413, 415, 422, 503),
)
async def create_subscription(new: NewSubscription, services: CurrentServices, caller: Manager) -> Response:
    """Subscribe a target to event types. Events that are accepted after this answer are delivered to it.

    The answer masks secrets. For a webhook without a secret one is generated; `…/secret` shows it. `unavailable` says
    what the operator has to set before anything can be delivered.
    """
    made = await services.subscriptions.create(caller, new)
    return json_response(await _written(services, made), 201, location(services, f"{router.prefix}/{made.id}"))


@router.get("", response_model=SubscriptionList, responses=problems(401, 403, 422))
async def list_subscriptions(services: CurrentServices, caller: Manager, page: Paging) -> Response:
    """Subscriptions, newest first."""
    found = page_of(services.subscriptions.listing(caller.tenant), page, lambda made: made.id, descending=True)
    return listed((_view(services, made) for made in found.items), found.next_cursor)


@router.get("/{subscription_id}", response_model=SubscriptionDetail, responses=problems(401, 403, 404, 422, 503))
async def get_subscription(subscription_id: SubscriptionId, services: CurrentServices, caller: Manager) -> Response:
    """A subscription, with the health of its target."""
    found = services.subscriptions.find(caller.tenant, subscription_id)
    return json_response({**_view(services, found).model_dump(), "health": await _health(services, found)})


@router.patch(
    "/{subscription_id}",
    response_model=SubscriptionView,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
    openapi_extra=_PATCH_BODY,
)
async def update_subscription(
    subscription_id: SubscriptionId,
    patch: SubscriptionPatch,
    services: CurrentServices,
    caller: Manager,
) -> Response:
    """Change a subscription by a JSON merge patch (RFC 7396): null removes a member.

    Send it as `application/merge-patch+json` or `application/json`. `filter`, `template` and `retry_schedule` are
    replaced whole. A secret that is sent back as it was shown, masked, stays as it is.
    """
    patched = await services.subscriptions.patch(caller, subscription_id, patch.root)
    return json_response(await _written(services, patched))


@router.put(
    "/{subscription_id}",
    response_model=SubscriptionView,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def replace_subscription(
    subscription_id: SubscriptionId, replacement: Replacement, services: CurrentServices, caller: Manager
) -> Response:
    """Replace a subscription: members that are left out get their defaults. Its id and `created_at` stay.

    The signing secret stays as well when the target names none, and so does a secret that is sent back masked. What
    `GET` shows may be sent back: members that only the hub writes are ignored.
    """
    replaced = await services.subscriptions.put(caller, subscription_id, replacement)
    return json_response(await _written(services, replaced))


@router.delete(
    "/{subscription_id}",
    status_code=204,
    response_class=Response,
    responses=problems(401, 403, 404, 409, 422, 503),
)
async def delete_subscription(subscription_id: SubscriptionId, services: CurrentServices, caller: Manager) -> Response:
    """Delete a subscription. Its deliveries that are not sent yet are cancelled."""
    await services.subscriptions.delete(caller.tenant, subscription_id)
    return Response(status_code=204)


@router.post(
    "/{subscription_id}/enable",
    response_model=SubscriptionView,
    responses=problems(401, 403, 404, 409, 413, 422, 503),
)
async def enable_subscription(subscription_id: SubscriptionId, services: CurrentServices, caller: Manager) -> Response:
    """Let deliveries flow again, those that were held first."""
    enabled = await services.subscriptions.enable(caller.tenant, subscription_id)
    return json_response(await _written(services, enabled))


@router.post(
    "/{subscription_id}/disable",
    response_model=SubscriptionView,
    responses=problems(401, 403, 404, 409, 413, 422, 503),
)
async def disable_subscription(subscription_id: SubscriptionId, services: CurrentServices, caller: Manager) -> Response:
    """Hold what is not sent yet, and what is published from now on."""
    disabled = await services.subscriptions.disable(caller.tenant, subscription_id, "disabled on request")
    return json_response(_view(services, disabled))


@router.post(
    "/{subscription_id}/test",
    response_model=Trial,
    responses=problems(400, 401, 403, 404, 413, 415, 422, 503),
)
async def try_subscription(
    subscription_id: SubscriptionId, services: CurrentServices, caller: Manager, wanted: SendTestRequest | None = None
) -> Response:
    """Send a sample now, once, and answer how the target took it. Nothing is stored, and the filter is not applied.

    The sample is by default the example of the first event type that the subscription's patterns match. The message is
    marked: `webhook-test: true` in webhooks, `[test]` in mails and Slack, `"test": true` in files. Where the recipients
    come from the data, it is sent to `to`, or to them with `to_customer`, and otherwise to nobody (422).
    """
    wanted = wanted or SendTestRequest()
    subscription = addressed(services.subscriptions.find(caller.tenant, subscription_id), wanted)
    sample = services.event_types.sample(caller.tenant, subscription.patterns)
    if wanted.type is not None or wanted.data is not None:
        sample = await services.event_types.made_up(caller.tenant, wanted.type or sample.type, wanted.data)
    timeout = subscription.spec.timeout or services.settings.attempt_timeout
    return json_response(await send_test(services.sender, sample, subscription, services.clock, timeout))


@router.get("/{subscription_id}/secret", response_model=Secret, responses=problems(401, 403, 404, 409, 422))
async def get_subscription_secret(
    subscription_id: SubscriptionId, services: CurrentServices, caller: Manager
) -> Response:
    """The secret that messages are signed with. 409 for a channel that does not sign."""
    return _secret(services.subscriptions.find(caller.tenant, subscription_id))


@router.post(
    "/{subscription_id}/rotate-secret",
    response_model=Secret,
    responses=problems(400, 401, 403, 404, 409, 413, 415, 422, 503),
)
async def rotate_subscription_secret(
    subscription_id: SubscriptionId, services: CurrentServices, caller: Manager, rotation: Rotation | None = None
) -> Response:
    """Sign with a new secret from now on, and during the grace time with the old one as well."""
    grace = timedelta(seconds=(rotation or Rotation()).grace_seconds)
    return _secret(await services.subscriptions.rotate(caller.tenant, subscription_id, grace))


async def _written(services: Services, subscription: Subscription) -> SubscriptionView:
    """A subscription that was just written, as it is shown."""
    return subscription.view(await services.shared_holds.settled(subscription))


def _view(services: Services, subscription: Subscription) -> SubscriptionView:
    return subscription.view(services.sender.holds.unavailable(subscription))


def _secret(subscription: Subscription) -> Response:
    return json_response({"secret": signed_target(subscription).secret.get_secret_value()}, headers=NO_STORE)


async def _health(services: Services, subscription: Subscription) -> dict[str, Any]:
    only = frozenset({subscription.id})
    waiting = await services.deliveries.counts(subscription.tenant, DeliveryQuery(Status.PENDING, only))
    newest = await services.deliveries.listing(subscription.tenant, DeliveryQuery(subscription_ids=only), Page(1))
    health = await services.deliveries.health(subscription)
    return {
        **health.model_dump(),
        "pending": sum(waiting.values()),
        "last_delivery": next((shown_delivery(one, services.subscriptions.name_of) for one in newest.items), None),
    }
