"""Filters: rules over an event's members, which must all hold before a subscription gets the event.

    {"data.total": {"gte": 100}, "data.currency": ["EUR", "USD"], "any": [{…}, {…}], "not": {…}}

A scalar stands for `eq`, an array for `in`. Rules follow JSON: `1` equals `1.0` but neither `"1"` nor `true`, and null
is a value. Where a path leads nowhere, only `exists: false`, `ne` and `not` hold.
"""

from hub.catalogue.subscriptions.filters.compiling import Filter, compile_filter
from hub.catalogue.subscriptions.filters.contradictions import refuse_contradiction

__all__ = ["Filter", "compile_filter", "refuse_contradiction"]
