"""Whatever text and instants are stored come back exactly; whatever is asked often is answered from an index."""

import asyncio
import json
import tempfile
from pathlib import Path

import apsw
import apsw.ext
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.models import Status
from hub.stores import open_store
from hub.stores.base import DeliveryQuery
from hub.stores.sqlite import queue
from hub.stores.sqlite.conditions import deliveries_index, deliveries_where
from tests.clock import START, ManualClock
from tests.hub.stores.conftest import OpenStore
from tests.hub.stores.samples import TENANT, batch, claim, entry, event

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@settings(max_examples=40, deadline=None, database=None)
@given(st.lists(st.tuples(JSON, st.booleans(), TEXT, TEXT, TEXT, st.dictionaries(TEXT, TEXT, max_size=2)), min_size=1))
def test_data_and_attributes_come_back_byte_for_byte(
    given_: list[tuple[object, bool, str, str, str, dict[str, str]]],
) -> None:
    asyncio.run(round_trip(given_))


async def round_trip(given_: list[tuple[object, bool, str, str, str, dict[str, str]]]) -> None:
    new = [
        event(
            data=json.dumps(data, ensure_ascii=ascii_).encode(),
            type=type_,
            subject=subject,
            source=source,
            source_id=str(n),
            extensions=extensions,
        )
        for n, (data, ascii_, type_, subject, source, extensions) in enumerate(given_)
    ]
    with tempfile.TemporaryDirectory() as folder:
        async with open_store(f"sqlite:///{folder}/hub.db", ManualClock()) as store:
            await store.intake.accept(batch(*(entry(e, ["sub_1"], index=n) for n, e in enumerate(new))))
            assert [claimed.event for claimed in await claim(store)] == new
            for one in new:
                assert await store.archive.event(TENANT, one.id) == one
            again = await store.intake.accept(
                batch(*(entry(e.model_copy(update={"id": "evt_x"}), index=n) for n, e in enumerate(new)))
            )
            assert [verdict.id for verdict in again.verdicts] == [one.id for one in new]


@pytest.fixture
async def connection(opened: OpenStore, tmp_path: Path) -> apsw.Connection:
    await opened.open()
    await opened.close()
    return apsw.Connection(str(tmp_path / "hub.db"))


def plan(connection: apsw.Connection, query: str) -> list[str]:
    """The steps of the plan that read deliveries."""
    details: list[str] = []
    steps = [apsw.ext.query_info(connection, query, explain_query_plan=True).query_plan]
    while steps:
        step = steps.pop()
        assert step is not None
        details.append(step.detail)
        steps += step.sub or []
    return [detail for detail in details if " deliveries" in detail]


@pytest.mark.parametrize(
    "query", [queue._DUE, queue._PICK, queue._NEXT_DUE, queue._CLAIMED, queue._STATES, queue._LEASED]
)
def test_no_question_of_the_dispatcher_reads_more_of_a_backlog_than_it_gives(
    connection: apsw.Connection, query: str
) -> None:
    steps = plan(connection, query)
    assert steps
    assert all(step.startswith("SEARCH deliveries USING") for step in steps), steps


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
