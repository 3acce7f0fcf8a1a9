"""The shapes of answers that several routes give, and the parameters that several take."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Annotated, Any, get_args, get_origin

import orjson
from fastapi import Depends, Query, Request, Response
from fastapi.dependencies.models import Dependant
from pydantic import AfterValidator, BaseModel, Field

from hub.api.answers import LargeAnswer
from hub.catalogue.patterns import is_pattern
from hub.errors import Fault, Invalid
from hub.instants import UNESCAPED_PLUS, Instant
from hub.media_types import JSON
from hub.models import Attempt, Delivery, Event, Status
from hub.runtime import Services
from hub.shares.budget import ALLOWANCE_BYTES
from hub.stores.base import Listing, Page
from hub.validation import MAX_FAULTS, pointer

_JSON_OPTIONS = orjson.OPT_UTC_Z
NO_STORE = {"Cache-Control": "no-store"}
"""Headers of an answer with a secret in it."""

Since = Annotated[Instant | None, Query(description="From this instant on.")]
Until = Annotated[Instant | None, Query(description="Before this instant.")]


async def _type_pattern(
    type: Annotated[
        str | None, Query(max_length=255, description="A pattern: exact, `order.*`, or `*`.", examples=["order.*"])
    ] = None,
) -> str | None:
    if type is not None and not is_pattern(type):
        hint = UNESCAPED_PLUS if " " in type else ""
        fault = Fault(f"must be an event type, a prefix such as `order.*`, or `*`{hint}", "/query/type")
        raise Invalid("The type pattern is malformed.", errors=[fault])
    return type


TypePattern = Annotated[str | None, Depends(_type_pattern)]


def wrong_ids(event_id: str | None, subscription_id: str | None) -> Iterator[Fault]:
    """A fault for each id, by which something is selected, that is no id of its kind, such as the order's own."""
    for name, prefix, text in (("event_id", "evt", event_id), ("subscription_id", "sub", subscription_id)):
        if text and not re.fullmatch(rf"{prefix}_[0-9A-Za-z]{{1,96}}", text):
            yield Fault(f"must be an id such as {prefix}_019ab3c1d2e47f0a8b6c5d4e3f2a1b0c", f"/query/{name}")


def wrong_channel(services: Services, tenant: str, channel: str | None) -> Iterator[Fault]:
    """A fault when neither the hub nor a subscription has this channel, such as `mail` for `email`."""
    known = services.subscriptions.channels(tenant)
    if channel is not None and channel not in known:
        yield Fault(f"must be one of {', '.join(sorted(known))}", "/query/channel")


def check_parameters(request: Request) -> None:
    """Refuse what the route does not know, and what it takes once and is given twice.

    A misspelt condition would otherwise select everything, and of two the last one would count without a word.
    """
    known = {one.alias: one.field_info for one in _parameters(request.scope["route"].dependant)}
    shown = sorted(name for name, field in known.items() if getattr(field, "include_in_schema", True))
    wrong = []
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            detail = f"is not a parameter of this route; it takes {', '.join(shown) or 'none'}"
            wrong.append(Fault(detail, pointer("query", name)))
        elif count > 1 and not _is_list(known[name].annotation):
            wrong.append(Fault("may be given once only", pointer("query", name)))
    if wrong:
        detail = "The query has a parameter that this route does not know, or takes once only; see `errors`."
        raise Invalid(detail, errors=wrong[:MAX_FAULTS])


def _parameters(dependant: Dependant) -> Iterator[Any]:
    """The query parameters of a route, those of its dependencies among them."""
    yield from dependant.query_params
    for inner in dependant.dependencies:
        yield from _parameters(inner)


def _is_list(annotation: Any) -> bool:
    return any(get_origin(kind) is list for kind in (annotation, *get_args(annotation)))


async def _known_parameters(request: Request) -> None:
    check_parameters(request)


KnownParameters = Annotated[None, Depends(_known_parameters)]
"""For routes that list or search; `Paging` includes it."""


async def _page(
    known: KnownParameters,
    limit: Annotated[
        int, Query(ge=1, le=200, description="How many items at most; events of more than 4 MiB take several pages.")
    ] = 50,
    cursor: Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")] = None,
) -> Page:
    return Page(limit, cursor)


Paging = Annotated[Page, Depends(_page)]


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


SearchText = Annotated[
    Annotated[str, AfterValidator(_not_blank)] | None,
    Query(
        max_length=200,
        description="How a text begins: an id, the subject, `order_id`, `user_id`, `customer.email`, or a member that "
        "the event type lists as `search`. Whether an ASCII letter is a capital does not matter. A search ends after "
        "two seconds at most.",
        examples=["o-77"],
    ),
]


class EventView(Event):
    """An event as it is shown; `data` byte for byte as it was published."""

    data: Any = Field(examples=[{"order_id": "1001", "total": "99.90", "currency": "EUR"}])


class EventDetail(EventView):
    deliveries: dict[Status, int] = Field(examples=[{"delivered": 2, "pending": 1}])


class Found(BaseModel):
    """What the page of a list that can be searched has beside its items."""

    next_cursor: str | None
    searched_to: datetime | None = Field(
        default=None,
        description="Given when the time was up before the page was full: what is older than this has not been looked "
        "at. `next_cursor` goes on there.",
    )


class EventList(Found):
    items: list[EventView]


class DeliveryView(Delivery):
    """A delivery as it is shown."""

    subscription_name: str | None = Field(
        examples=["order log"], description="The present name; null once the subscription is deleted."
    )


class DeliveryList(Found):
    items: list[DeliveryView]


class DeliveryDetail(DeliveryView):
    attempts: list[Attempt]


def shown_event(event: Event) -> dict[str, Any]:
    """An event's members, its data spliced in as it was received (see docs/decisions/0003)."""
    return {**event.model_dump(exclude={"data"}), "data": orjson.Fragment(event.data)}


def shown_delivery(delivery: Delivery, name_of: Callable[[Delivery], str | None]) -> dict[str, Any]:
    """A delivery's members, with the name of its subscription."""
    return {**delivery.model_dump(), "subscription_name": name_of(delivery)}


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """JSON of plain values, resources and aware UTC instants."""
    body = orjson.dumps(content, _members, _JSON_OPTIONS)
    return (LargeAnswer if len(body) > ALLOWANCE_BYTES else Response)(body, status, headers, JSON)


def location(services: Services, path: str) -> dict[str, str]:
    """The header `Location` of what is at this path, under the prefix that a proxy adds."""
    return {"Location": services.settings.root_path + path}


def page_response(listing: Listing[Any], items: Iterable[Any]) -> Response:
    """A page of a list that can be searched, with its items as they are shown."""
    stopped = {} if listing.searched_to is None else {"searched_to": listing.searched_to}
    return listed(items, listing.next_cursor, **stopped)


def listed(items: Iterable[Any], next_cursor: str | None = None, **more: Any) -> Response:
    """A page of a list, with what else it has."""
    return json_response({"items": list(items), "next_cursor": next_cursor, **more})


def _members(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    raise TypeError(type(value).__name__)
