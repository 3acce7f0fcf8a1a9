"""Every list of deliveries goes through an index."""

import apsw
import pytest

from hub.models import Status
from hub.stores.base import DeliveryQuery
from hub.stores.sqlite.conditions import deliveries_index, deliveries_where
from tests.clock import START
from tests.hub.stores.samples import TENANT
from tests.hub.stores.sqlite.query_plan import plan


@pytest.mark.parametrize(
    "query",
    [
        DeliveryQuery(),
        DeliveryQuery(event_id="evt_1"),
        DeliveryQuery(subscription_ids=frozenset({"sub_1"}), status=Status.DELIVERED),
        DeliveryQuery(status=Status.DEAD),
        DeliveryQuery(status=Status.PENDING, channel="slack"),
        DeliveryQuery(status=Status.PENDING, subscription_ids=frozenset({"sub_1", "sub_2"})),
        DeliveryQuery(since=START, until=START),
    ],
)
def test_every_list_of_deliveries_goes_through_an_index(connection: apsw.Connection, query: DeliveryQuery) -> None:
    where = deliveries_where(TENANT, query)
    steps = plan(connection, f"SELECT seq FROM deliveries INDEXED BY {deliveries_index(query)} WHERE {where}")
    assert all(step.startswith("SEARCH deliveries USING") for step in steps), steps
