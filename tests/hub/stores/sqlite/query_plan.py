"""How SQLite would go about a query."""

import apsw
import apsw.ext


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
