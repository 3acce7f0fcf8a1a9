"""Which entries pass which filters."""

from typing import Any

import pytest

from hub.models import FeedKind, Status
from hub.stream import Selection
from tests.hub.stream.conftest import entry

ACCEPTED = entry(event_id="evt_1")
DEAD = entry(kind=FeedKind.DELIVERY_DEAD, event_id="evt_1", subscription_id="sub_1", status=Status.DEAD)
DISABLED = entry(kind=FeedKind.SUBSCRIPTION_DISABLED, event_type=None, subscription_id="sub_1")
TASK = entry(kind=FeedKind.TASK_UPDATED, event_type=None)
ALL = {"accepted": ACCEPTED, "dead": DEAD, "disabled": DISABLED, "task": TASK}


@pytest.mark.parametrize(
    ("filters", "passing"),
    [
        ({}, "accepted dead disabled task"),
        ({"types": ("*",)}, "accepted dead disabled task"),
        ({"types": ("order.created",)}, "accepted dead"),
        ({"types": ("order.*",)}, "accepted dead"),
        ({"types": ("user.*",)}, ""),
        ({"types": ("user.*", "delivery.dead")}, "dead"),
        ({"types": ("delivery.*", "task.updated")}, "dead task"),
        ({"types": ("event.accepted",)}, "accepted"),
        ({"event_id": "evt_1"}, "accepted dead"),
        ({"event_id": "evt_2"}, ""),
        ({"subscription_id": "sub_1"}, "dead disabled"),
        ({"subscription_id": "sub_2"}, ""),
        ({"statuses": frozenset({Status.DEAD, Status.DELIVERED})}, "dead"),
        ({"statuses": frozenset({Status.DELIVERED})}, ""),
        ({"types": ("order.*",), "subscription_id": "sub_1"}, "dead"),
        ({"types": ("subscription.*",), "event_id": "evt_1"}, ""),
    ],
)
def test_all_filters_must_hold_and_what_lacks_the_thing_asked_for_does_not_pass(
    filters: dict[str, Any], passing: str
) -> None:
    selection = Selection(**filters)
    assert [name for name, shown in ALL.items() if selection.passes(shown)] == passing.split()


def test_equal_filters_are_one_group() -> None:
    assert Selection(types=("a",)) == Selection(types=("a",))
    assert len({Selection(types=("a",)), Selection(types=("a",)), Selection()}) == 2
