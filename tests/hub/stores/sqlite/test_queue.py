"""What the dispatcher asks often is answered from an index."""

import apsw
import pytest

from hub.stores.sqlite import finishing, queue
from tests.hub.stores.sqlite.query_plan import plan


@pytest.mark.parametrize(
    "query", [queue._DUE, *queue._PICK, *queue._NEXT_DUE, queue._CLAIMED, finishing._STATES, queue._LEASED]
)
def test_no_question_of_the_dispatcher_reads_more_of_a_backlog_than_it_gives(
    connection: apsw.Connection, query: str
) -> None:
    steps = plan(connection, query)
    assert steps
    assert all(step.startswith("SEARCH deliveries USING") for step in steps), steps
