"""One drill: a hub, a receiver and a client as processes and journals of their own, and the verdict at the end."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hub.testing.patience import PATIENCE_SECONDS
from tests.faults.hub import Hub
from tests.faults.hub_process import ADMIN_KEY, ROOT
from tests.faults.oracle import Verdict, account_of, arrived_again, judge, leaked
from tests.faults.patience import until
from tests.faults.publisher import Publisher
from tests.faults.receiver_process import ReceiverProcess
from tests.redis_servers import RedisServer

LEASE_SECONDS = 2.0
"""What the drills set `HUB_LEASE` to."""
SWEEP_SECONDS = 5.0
"""How often leases that ran out are looked for."""
RECORD = Path(os.environ.get("HUB_DRILL_RECORD", ROOT / "var" / "faults.jsonl"))
CANARY_HEADER = "canary-header-that-no-answer-may-ever-show"
NO_SECRETS_IN = ("/v1/subscriptions", "/v1/deliveries", "/v1/events", "/v1/keys", "/v1/stats", "/metrics", "/readyz")


class Drill:
    """What a drill acts on. `lanes` maps each lane of the receiver to the subscription that sends to it; `server` is
    the Redis that the hub keeps everything in, if it does."""

    def __init__(
        self, store: str, hub: Hub, receiver: ReceiverProcess, publisher: Publisher, server: RedisServer | None = None
    ) -> None:
        self.store = store
        self.hub = hub
        self.receiver = receiver
        self.publisher = publisher
        self.server = server
        self.lanes: dict[str, str] = {}
        self._wanted: dict[str, str] = {}
        self._secrets: set[str] = {ADMIN_KEY, CANARY_HEADER}

    @property
    def takeover_seconds(self) -> float:
        """How long the work of a process that died may wait for another: on a store of its own, not at all."""
        return 0.0 if self.server is None else LEASE_SECONDS + SWEEP_SECONDS + 1

    async def subscribe(self, lane: str, event_type: str = "*", **members: Any) -> str:
        """Send events of one type, or all, to a lane of the receiver, retried soon; gives the subscription's id."""
        target = {"url": self.receiver.url(lane), "headers": {"x-canary": CANARY_HEADER}}
        spec = {
            "name": lane,
            "event_types": [event_type],
            "channel": "webhook",
            "target": target,
            "retry_schedule": [0.5] * 20,
            **members,
        }
        async with self.hub.client() as api:
            made = await api.post("/v1/subscriptions", json=spec)
            assert made.status_code == 201, made.text
            self.lanes[lane], self._wanted[lane] = made.json()["id"], event_type
            secret = await api.get(f"/v1/subscriptions/{self.lanes[lane]}/secret")
            self._secrets.add(secret.json()["secret"])
        return self.lanes[lane]

    def forget(self) -> None:
        """Expect nothing more of what was accepted and subscribed so far."""
        self.publisher.forget()
        self.lanes.clear()

    async def waiting(self, *statuses: str) -> int:
        """How many deliveries are `pending` or `sending`, or in these statuses; at most 200 are counted of each."""
        async with self.hub.client() as api:
            pages = [
                (await api.get("/v1/deliveries", params={"status": status, "limit": 200})).raise_for_status().json()
                for status in statuses or ("pending", "sending")
            ]
        return sum(len(page["items"]) for page in pages)

    async def drained(self, within: float) -> float:
        """Wait until nothing is pending or sending; gives the seconds that took. Raises `TimeoutError`."""
        started = time.monotonic()

        async def nothing_waits() -> bool:
            # Twice, because what changes its status between two questions is in the answer to neither.
            return await self.waiting() == 0 and await self.waiting() == 0

        await until(nothing_waits, within)
        return time.monotonic() - started

    async def verdict(
        self,
        drill_id: str,
        *,
        drain_within: float | None = PATIENCE_SECONDS,
        complaints: Sequence[str] = (),
        remembered_since: float = 0.0,
    ) -> Verdict:
        """Let the backlog drain (None: it will not), judge, and write the verdict into the record.

        `complaints` are of what the drill itself saw; `remembered_since` is as `judge` has it.
        """
        verdict = Verdict(drill_id, self.store, complaints=list(complaints))
        try:
            if drain_within is not None:
                verdict.drain_s = round(await self.drained(drain_within), 3)
        except TimeoutError:
            verdict.complaints.append(f"I3 not drained within {drain_within:g} s")
        arrivals = self.receiver.arrivals()
        async with self.hub.client() as api:
            account = await account_of(api, arrived_again(arrivals, self.lanes))
            answers = {path: (await api.get(path)).content for path in NO_SECRETS_IN}
        if self.server is not None:
            answers |= await asyncio.to_thread(self.server.kept, self.hub.settings["store_url"].partition("prefix=")[2])
        judge(
            verdict,
            self.publisher.acked,
            arrivals,
            self.lanes,
            self._wanted,
            account,
            remembered_since=remembered_since,
        )
        verdict.complaints += leaked(self._secrets, answers, self.hub.directory)
        verdict.rss_mb = round(self.hub.rss_mb(), 1)
        record(verdict)
        return verdict

    async def delivery(self, event_id: str, lane: str) -> dict[str, Any]:
        """One delivery with its attempts, as REST shows it."""
        async with self.hub.client() as api:
            account = await account_of(api, [(event_id, self.lanes[lane])])
        key = (event_id, self.lanes[lane])
        return {**account.deliveries[key], "attempts": account.attempts[key]}


def record(verdict: Verdict) -> None:
    """Append a verdict to `faults.jsonl`."""
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    with RECORD.open("ab") as lines:
        lines.write(verdict.line())
