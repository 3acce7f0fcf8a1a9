"""Lanes alone: A holds all room; B waits since t=0, C since t=1. B is noticed again (a new event, or merely the 5 s sweep). Who gets the room when A ends?"""

from types import SimpleNamespace as NS

from hub.dispatch.lanes import Lanes
from hub.stores.base import ClaimResult, LanePolicy
from tests.cases.scene import verdict
from tests.clock import ManualClock

clock = ManualClock()
lanes = Lanes(1, lambda l: LanePolicy(10), clock)
lanes.notify("A", None)
w = lanes.take()
lanes.answered(w, ClaimResult((NS(delivery=NS(subscription_id="A")),), {}))
lanes.notify("B", None)
assert not lanes.take()
clock.advance(1)
lanes.notify("C", None)
assert not lanes.take()
clock.advance(1)
lanes.notify("B", None)
assert not lanes.take()
clock.advance(1)
lanes.end_attempt("A")
(w,) = lanes.take()
verdict("c22", w.lane == "B", f"B has waited 3 s, C 2 s; B was noticed again meanwhile; the room goes to {w.lane}")
