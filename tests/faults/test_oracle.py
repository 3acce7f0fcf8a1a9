"""The judge of the drills sees each thing that it is there to see."""

from pathlib import Path
from typing import Any

from tests.faults.oracle import Account, Verdict, judge, leaked, percentile
from tests.faults.publisher import Acked
from tests.faults.receiver_process import Arrival

LANES, WANTED = {"ok": "sub_1"}, {"ok": "*"}


def acked(number: int, event_id: str) -> Acked:
    return Acked(number, "drill.tick", event_id, at=1.0, seconds=0.01, tries=1)


def arrival(event_id: str, status: int = 200, at: float = 2.0) -> Arrival:
    return Arrival("ok", event_id, status, at=at, in_flight=1, number=None)


def complaints(
    events: list[Acked],
    arrivals: list[Arrival],
    *deliveries: tuple[str, str, str | None],
    outcomes: tuple[str, ...] = (),
    remembered_since: float = 0.0,
) -> list[str]:
    """What is wrong, when the hub says this of each (event, its status, its reason), and of all attempts."""
    verdict = Verdict("F00", "none")
    told: dict[tuple[str, str], dict[str, Any]] = {
        (event, "sub_1"): {"status": status, "reason": reason} for event, status, reason in deliveries
    }
    attempts = {key: [{"outcome": outcome, "status_code": None} for outcome in outcomes] for key in told}
    account = Account(told, attempts)
    judge(verdict, events, arrivals, LANES, WANTED, account, remembered_since=remembered_since)
    assert verdict.passed == (verdict.complaints == [])
    return [complaint.split()[0] for complaint in verdict.complaints]


def test_what_was_accepted_and_delivered_passes() -> None:
    assert complaints([acked(0, "evt_1")], [arrival("evt_1")], ("evt_1", "delivered", None)) == []


def test_a_lost_event_is_seen() -> None:
    assert complaints([acked(0, "evt_1")], []) == ["I1"]


def test_a_death_without_a_reason_is_seen() -> None:
    assert complaints([acked(0, "evt_1")], [], ("evt_1", "dead", None)) == ["I1"]
    assert complaints([acked(0, "evt_1")], [], ("evt_1", "dead", "answered 500")) == []


def test_a_duplicate_is_seen_unless_an_unanswered_attempt_explains_it() -> None:
    events, arrivals, delivery = [acked(0, "evt_1")], [arrival("evt_1")] * 2, ("evt_1", "delivered", None)
    assert complaints(events, arrivals, delivery, outcomes=("succeeded",)) == ["I2"]
    assert complaints(events, arrivals, delivery, outcomes=("unknown", "succeeded")) == []
    assert complaints(events, arrivals, delivery, outcomes=("failed", "succeeded")) == []


def test_what_arrived_before_the_hub_lost_its_memory_needs_no_explanation() -> None:
    events, delivery = [acked(0, "evt_1")], ("evt_1", "delivered", None)
    before = [arrival("evt_1"), arrival("evt_2")]
    for again, seen in (([arrival("evt_1", at=4.0)], []), ([arrival("evt_1", at=4.0)] * 2, ["I2"])):
        arrivals = before + again
        assert complaints(events, arrivals, delivery, outcomes=("succeeded",), remembered_since=3.0) == seen


def test_an_event_that_no_answer_named_is_seen() -> None:
    arrivals = [arrival("evt_1"), arrival("evt_2")]
    assert complaints([acked(0, "evt_1")], arrivals, ("evt_1", "delivered", None)) == ["I2"]


def test_one_publish_that_became_two_events_is_seen() -> None:
    events = [acked(0, "evt_1"), acked(0, "evt_2")]
    told = [("evt_1", "delivered", None), ("evt_2", "delivered", None)]
    assert complaints(events, [arrival("evt_1"), arrival("evt_2")], *told) == ["I2"]


def test_what_is_left_over_is_seen() -> None:
    for status in ("pending", "sending", "held"):
        assert complaints([acked(0, "evt_1")], [], ("evt_1", status, None)) == ["I3"]


def test_a_delivery_that_nobody_took_is_seen() -> None:
    assert complaints([acked(0, "evt_1")], [arrival("evt_1", 500)], ("evt_1", "delivered", None)) == ["I6"]


def test_a_secret_that_shows_is_seen(tmp_path: Path) -> None:
    (tmp_path / "hub.log").write_text("key=canary-in-a-log")
    (tmp_path / "admin.key").write_text("canary-in-its-own-file")
    assert len(leaked(["canary-in-a-log"], {}, tmp_path)) == 1
    assert len(leaked(["canary-in-an-answer"], {"/v1/keys": b'{"key":"canary-in-an-answer"}'}, tmp_path)) == 1
    assert leaked(["canary-in-its-own-file"], {"/v1/keys": b"{}"}, tmp_path) == []


def test_a_percentile_is_a_value_that_occurred() -> None:
    assert percentile(map(float, range(1, 101)), 0.99) == 99
    assert percentile([3.0], 0.99) == 3
