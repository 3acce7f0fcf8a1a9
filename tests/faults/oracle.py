"""Judges a drill: the client's journal of 202s × the receiver's journal × the hub's own account.

I1 every accepted (event, subscription) is delivered, dead with a reason, cancelled, or scheduled
I2 what arrives more than once has one `webhook-id`, and each extra arrival is explained by an attempt whose answer
   the hub never saw: `unknown`, or failed without a status
I3 after the drain nothing is left over, and nothing is claimed by nobody
I6 nothing is `delivered` without a receiver's 2xx
I7 no secret shows in logs, answers or files
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from typing import Any

import httpx
import orjson

from tests.faults.publisher import Acked
from tests.faults.receiver_process import Arrival

WAITING = ("pending", "held", "sending")


@dataclass(slots=True)
class Verdict:
    """One line of the record of drills; `complaints` say what is wrong, and are empty when it passed."""

    id: str
    store: str
    acked: int = 0
    delivered: int = 0
    dup: int = 0
    dead: int = 0
    lost: int = 0
    stuck: int = 0
    drain_s: float | None = None
    p99_other_ms: float | None = None
    rss_mb: float | None = None
    complaints: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.complaints

    def line(self) -> bytes:
        return orjson.dumps({**asdict(self), "pass": self.passed}, option=orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True, slots=True)
class Account:
    """What the hub says: every delivery, and with `attempts` those that were asked for one by one."""

    deliveries: Mapping[tuple[str, str], Mapping[str, Any]]
    """By event id and subscription id."""
    attempts: Mapping[tuple[str, str], Sequence[Mapping[str, Any]]]


async def account_of(api: httpx.AsyncClient, asked: Iterable[tuple[str, str]]) -> Account:
    """Read every delivery of the tenant, and the attempts of those with these event and subscription ids."""
    deliveries = {(d["event_id"], d["subscription_id"]): d for d in await listed(api, "/v1/deliveries")}
    attempts = {}
    for key in asked:
        if key in deliveries:
            detail = await api.get(f"/v1/deliveries/{deliveries[key]['id']}")
            attempts[key] = detail.raise_for_status().json()["attempts"]
    return Account(deliveries, attempts)


async def listed(api: httpx.AsyncClient, path: str, **query: str) -> list[dict[str, Any]]:
    """Every item of a list, page by page."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = (await api.get(path, params={**query, "limit": "200", **cursor})).raise_for_status().json()
        items += answer["items"]
        if answer["next_cursor"] is None:
            return items
        cursor = {"cursor": answer["next_cursor"]}


def arrived_again(arrivals: Sequence[Arrival], lanes: Mapping[str, str]) -> Counter[tuple[str, str]]:
    """How often each (event id, subscription id) was taken with a 2xx beyond the first time."""
    taken = Counter((a.webhook_id, lanes[a.lane]) for a in arrivals if 200 <= a.status < 300 and a.lane in lanes)
    return +Counter({key: number - 1 for key, number in taken.items()})


def judge(
    verdict: Verdict,
    acked: Sequence[Acked],
    arrivals: Sequence[Arrival],
    lanes: Mapping[str, str],
    wanted: Mapping[str, str],
    account: Account,
    *,
    remembered_since: float = 0.0,
) -> None:
    """Fill in the counts of a verdict and its complaints by I1, I2, I3 and I6.

    `lanes` gives the subscription that sends to each, and `wanted` the event type that it wants, `*` for all. What
    arrived before `remembered_since` the hub need not explain: that it sent it, was lost with the server.
    """
    verdict.acked = len(acked)
    _once_each(verdict, acked)
    taken = {(a.webhook_id, lanes[a.lane]) for a in arrivals if 200 <= a.status < 300 and a.lane in lanes}
    for event in acked:
        for lane, subscription in lanes.items():
            if wanted[lane] in ("*", event.type):
                _fate(verdict, (event.event_id, subscription), account, taken)
    verdict.dup = arrived_again(arrivals, lanes).total()
    explained = [arrival for arrival in arrivals if arrival.at >= remembered_since]
    for key, extra in arrived_again(explained, lanes).items():
        unanswered = sum(map(_unanswered, account.attempts.get(key, ())))
        if extra > unanswered:
            verdict.complaints.append(f"I2 {key} came {extra} times too often, with {unanswered} attempts unanswered")
    known = {event.event_id for event in acked}
    strangers = {a.webhook_id for a in explained if a.lane in lanes} - known
    if strangers:
        verdict.complaints.append(f"I2 {len(strangers)} events arrived under ids that no 202 named")


def _unanswered(attempt: Mapping[str, Any]) -> bool:
    """Whether the hub never saw what the receiver answered to this attempt, if anything."""
    return attempt["outcome"] == "unknown" or (attempt["outcome"] == "failed" and attempt["status_code"] is None)


def _once_each(verdict: Verdict, acked: Sequence[Acked]) -> None:
    ids = {event.number: event.event_id for event in acked}
    if len(ids) != len(acked) or len(set(ids.values())) != len(ids):
        verdict.complaints.append("I2 one publish became several events, or two became one")


def _fate(verdict: Verdict, key: tuple[str, str], account: Account, taken: set[tuple[str, str]]) -> None:
    delivery = account.deliveries.get(key)
    if delivery is None:
        verdict.lost += 1
        verdict.complaints.append(f"I1 {key} was accepted, and has no delivery")
        return
    match delivery["status"]:
        case "delivered":
            verdict.delivered += 1
            if key not in taken:
                verdict.complaints.append(f"I6 {key} is delivered, but no receiver took it")
        case "dead":
            verdict.dead += 1
            if not delivery["reason"]:
                verdict.complaints.append(f"I1 {key} is dead without a reason")
        case "cancelled":
            pass
        case status:
            verdict.stuck += 1
            verdict.complaints.append(f"I3 {key} is still {status}: {delivery['reason']}")


def leaked(canaries: Iterable[str], texts: Mapping[str, bytes], folder: Path) -> list[str]:
    """I7: where a secret shows, among named texts and in every file of a folder but the keys' own."""
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".key"}
    return [
        f"I7 {canary[:12]}… shows in {where}"
        for canary in canaries
        for where, content in {**texts, **files}.items()
        if canary.encode() in content
    ]


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that this share of all does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
