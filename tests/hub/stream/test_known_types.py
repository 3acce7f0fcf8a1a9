"""A name that nothing can have is refused, and what anybody may publish is not."""

import pytest

from hub.catalogue.event_types import BUILT_IN, EventTypeSpec
from hub.errors import Invalid
from hub.models import FeedKind
from hub.stream.known_types import KnownTypes
from tests.api_support import Api


@pytest.fixture
def known(api: Api) -> KnownTypes:
    return KnownTypes(api.services.event_types, api.process.core.catalogue, strict=False)


@pytest.fixture
def strict(api: Api) -> KnownTypes:
    return KnownTypes(api.services.event_types, api.process.core.catalogue, strict=True)


def refused(known: KnownTypes, pattern: str, tenant: str = "default") -> bool:
    try:
        known.check(tenant, ["order.*", pattern])
    except Invalid:
        return True
    return False


@pytest.mark.parametrize(
    "pattern",
    [
        *FeedKind,
        *BUILT_IN,
        "*",
        "order.*",
        "user.*",
        "delivery.*",
        "task.*",
        "stock.low",
        "stock.*",
        "none",
        "orders.paid",
    ],
)
def test_what_is_known_or_may_be_published_passes(known: KnownTypes, pattern: str) -> None:
    assert not refused(known, pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        "delivery.failed",
        "delivery.dead.*",
        "event.acepted",
        "task.completed",
        "order.creatd",
        "order",
        "dead",
        "delivery",
    ],
)
def test_what_begins_as_the_hubs_names_do_or_is_a_part_of_one_has_to_be_known(known: KnownTypes, pattern: str) -> None:
    assert refused(known, pattern)


async def test_a_type_is_known_once_it_is_registered_or_subscribed_by_its_tenant(api: Api, known: KnownTypes) -> None:
    assert refused(known, "order.packed")
    assert refused(known, "order.eu.*")
    await api.services.event_types.put("default", "order.packed", EventTypeSpec())
    await api.subscribe(event_types=["order.eu.*"])
    assert not refused(known, "order.packed")
    assert not refused(known, "order.eu.*")
    assert refused(known, "order.packed", "acme")


async def test_where_types_must_be_registered_nothing_else_passes(api: Api, strict: KnownTypes) -> None:
    assert refused(strict, "stock.low")
    await api.services.event_types.put("default", "stock.low", EventTypeSpec())
    for pattern in ("stock.low", "stock.*", "*", "order.*", "delivery.dead"):
        assert not refused(strict, pattern)


def test_the_problem_names_what_is_known(known: KnownTypes) -> None:
    with pytest.raises(Invalid) as raised:
        known.check("default", ["delivery.failed"])
    (fault,) = raised.value.errors
    assert fault.pointer == "/query/types"
    assert {"delivery.dead", "order.created"} <= {*fault.detail.replace(":", ",").split(", ")}
    assert "failed" not in fault.detail
