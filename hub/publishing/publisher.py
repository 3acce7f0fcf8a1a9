"""Accepting events: check each against its type, match it with the subscriptions, commit everything as one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime

from hub.catalogue.catalogue import Catalogue
from hub.catalogue.event_types import BUILT_IN, EventType
from hub.catalogue.event_types.checking import check_builtin
from hub.catalogue.matching import Matcher
from hub.clock import Clock
from hub.compute import Budget, ComputePool, OverBudget
from hub.errors import Conflict, Fault, HubError, Invalid, StaleCatalogue, Unavailable
from hub.ids import new_id
from hub.models import FeedEntry, FeedKind
from hub.publishing.event import ParsedEvent
from hub.publishing.recipients import Recipients
from hub.stores.base import (
    AcceptResult,
    Batch,
    BatchEntry,
    Idempotency,
    Intake,
    ItemResult,
    Notify,
    Signal,
)
from hub.telemetry.metrics import Metrics

ACCEPT_TRIES = 8
FREE_TRIES = 3
"""After so many, this process does not change the catalogue during a further one."""
COMPUTE_SECONDS = 2.0
"""Processor time in which all events of one request must be checked and matched."""
AT_ONCE_SECONDS = 0.02
"""After this time a batch lets other requests have their turn."""
PATIENCE_SECONDS = 5.0
"""How long a request waits for another one with the same idempotency key before it is answered with 409."""
_NO_TURN = nullcontext()
_IN_FLIGHT = "A request with this Idempotency-Key is still in flight; try again when it has been answered."


class Publisher:
    """The one way into the hub for events.

    Example:

        from hub.publishing.event import parse_native

        event = parse_native(b'{"type": "stock.low", "data": {"sku": "A-1"}}')
        accepted = await publisher.publish_one("default", event, None)
        accepted.verdicts[0].id  # evt_…
    """

    def __init__(
        self,
        intake: Intake,
        catalogue: Catalogue,
        clock: Clock,
        metrics: Metrics,
        notify: Notify,
        compute: ComputePool,
        *,
        strict_types: bool,
        fanout_inline_max: int,
    ) -> None:
        self._intake = intake
        self._catalogue = catalogue
        self._clock = clock
        self._metrics = metrics
        self._notify = notify
        self._compute = compute
        self._matcher = Matcher(compute)
        self._strict_types = strict_types
        self._fanout_inline_max = fanout_inline_max
        self._under_way: dict[tuple[str, str], asyncio.Event] = {}

    async def publish(
        self, tenant: str, items: Sequence[ParsedEvent | HubError], idempotency: Idempotency | None
    ) -> AcceptResult:
        """Accept a batch; an item that cannot be accepted gets a result of its own, and the others are accepted.

        Raises `Unavailable` when the store cannot take it now, `Conflict` while another request with the same
        idempotency key is under way, and `Invalid` when an earlier request with that key was a different one.
        """
        return await self._accept(lambda: self._batch(tenant, items, idempotency))

    async def publish_one(self, tenant: str, item: ParsedEvent, idempotency: Idempotency | None) -> AcceptResult:
        """Accept one event. Raises as `publish` does, and `Invalid` where a batch would have a rejected item."""
        budget = Budget(COMPUTE_SECONDS)
        try:
            await self._check(tenant, item, budget)
        except Invalid:
            # It may have been valid when it was sent first, as before its expiry: then it gets its first answer again.
            answer = await self._intake.recall(tenant, idempotency) if idempotency else None
            if answer is None:
                raise
            return answer
        return await self._accept(lambda: self._batch_of_one(tenant, item, idempotency, budget))

    async def _accept(self, build: Callable[[], Awaitable[Batch]]) -> AcceptResult:
        """Commit a batch; build it again when the catalogue has changed meanwhile (see docs/decisions/0006)."""
        started = self._clock.monotonic()
        batch = await build()
        async with self._turn(batch.tenant, batch.idempotency) if batch.idempotency else _NO_TURN:
            for attempt in range(ACCEPT_TRIES):
                try:
                    async with self._catalogue.unchanged() if attempt >= FREE_TRIES else _NO_TURN:
                        # Only now, because those who wait for their turn wait while others change the catalogue.
                        if attempt > 0:
                            await self._catalogue.refresh()
                            batch = await build()
                        answer = await self._intake.accept(batch)
                except StaleCatalogue:
                    continue
                self._count(answer, self._clock.monotonic() - started)
                # After a replayed answer too: the earlier one may have been this very call, repeated by the store after
                # a lost connection, and then nobody was notified.
                self._notify(Signal(_due(batch), any(entry.fan_out is not None for entry in batch.entries)))
                return answer
        raise Unavailable("The catalogue is being changed without pause; nothing was accepted.", retry_after=1)

    @asynccontextmanager
    async def _turn(self, tenant: str, idempotency: Idempotency) -> AsyncIterator[None]:
        """Requests with the same idempotency key wait until the first of them is answered, and then find its answer."""
        request = tenant, idempotency.key
        if (first := self._under_way.get(request)) is not None:
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await first.wait()
            except TimeoutError:
                raise Conflict(_IN_FLIGHT, retry_after=1) from None
            yield
            return
        # In this process only. Of two processes the store lets one commit, and gives the other the answer of the first.
        answered = self._under_way[request] = asyncio.Event()
        try:
            yield
        finally:
            del self._under_way[request]
            answered.set()

    async def _batch_of_one(
        self, tenant: str, item: ParsedEvent, idempotency: Idempotency | None, budget: Budget
    ) -> Batch:
        # Of the catalogue as it is now: when it changes while this is matched, the store refuses the batch.
        version, recipients = self._catalogue.version, Recipients(self._fanout_inline_max)
        entry = await self._entry(tenant, 0, item, recipients, budget)
        return Batch(tenant, (entry,), (), idempotency, version)

    async def _batch(
        self, tenant: str, items: Sequence[ParsedEvent | HubError], idempotency: Idempotency | None
    ) -> Batch:
        # Of the catalogue as it is now: when it changes while others have their turn, the store refuses the batch.
        version, recipients = self._catalogue.version, Recipients(self._fanout_inline_max)
        budget, entries, rejected = Budget(COMPUTE_SECONDS), [], []
        turn_ends = self._clock.monotonic() + AT_ONCE_SECONDS
        for index, item in enumerate(items):
            try:
                if isinstance(item, HubError):
                    raise item
                await self._check(tenant, item, budget)
                entries.append(await self._entry(tenant, index, item, recipients, budget))
            except HubError as error:
                rejected.append(ItemResult(index, "rejected", problem=error.problem()))
            if self._clock.monotonic() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = self._clock.monotonic() + AT_ONCE_SECONDS
        return Batch(tenant, tuple(entries), tuple(rejected), idempotency, version)

    async def _check(self, tenant: str, item: ParsedEvent, budget: Budget) -> None:
        """Raises `Invalid` when the event breaks the schema of its type, or a rule of time."""
        faults: Sequence[Fault] = ()
        registered = self._catalogue.event_type(tenant, item.type)
        if item.type in BUILT_IN or (registered is not None and registered.validator is not None):
            faults = await self._faults(tenant, item, registered, budget)
        elif registered is None and self._strict_types:
            raise Invalid(
                "This hub accepts registered event types only: register it with PUT /v1/event-types/{type}. The "
                "operator can switch HUB_STRICT_TYPES off.",
                errors=[Fault("is not registered", "/type")],
            )
        if item.expires_at is not None and item.expires_at <= self._clock.now():
            faults = [*faults, Fault("must be in the future", "/expires_at")]
        if faults:
            raise Invalid("The event breaks a rule; see `errors`.", errors=faults)

    async def _faults(
        self, tenant: str, item: ParsedEvent, registered: EventType | None, budget: Budget
    ) -> Sequence[Fault]:
        data, raw, faults = item.data_value, item.data, list[Fault]()
        try:
            if item.type in BUILT_IN:
                faults += await check_builtin(tenant, item.type, data, raw, budget, self._compute)
            if registered is not None and registered.validator is not None:
                faults += await registered.validator.check(tenant, data, raw, budget, self._compute)
        except OverBudget:
            raise _too_costly("checked against the schema of its type") from None
        return faults

    async def _entry(
        self, tenant: str, index: int, item: ParsedEvent, recipients: Recipients, budget: Budget
    ) -> BatchEntry:
        event = item.accepted(new_id("evt"), tenant, self._clock.now())
        subscribed = self._catalogue.subscribed(tenant, event.type)
        matched = self._matcher.matched_at_once(subscribed, event, item.data_value)
        if matched is None:
            try:
                matched = await self._matcher.matched(subscribed, event, item.data_value, budget)
            except OverBudget:
                raise _too_costly("matched with the filters of its subscriptions") from None
        deliveries, fan_out = recipients.of(matched)
        shown = event.model_dump_json(exclude={"data"}).encode()
        feed = FeedEntry(tenant, FeedKind.EVENT_ACCEPTED, shown, event_type=event.type, event_id=event.id)
        return BatchEntry(index, event, deliveries, feed, fan_out)

    def _count(self, answer: AcceptResult, seconds: float) -> None:
        if answer.replayed:
            return
        statuses = [verdict.status for verdict in answer.verdicts]
        self._metrics.published(
            accepted=statuses.count("accepted"),
            duplicates=statuses.count("duplicate"),
            rejected=statuses.count("rejected"),
            seconds=seconds,
        )


def _too_costly(how: str) -> Invalid:
    fault = Fault(f"takes more than {COMPUTE_SECONDS:g} s of processor time to be {how}", "/data")
    return Invalid(
        "The event was not accepted: it costs too much. Send less data, or fewer events at a time.", errors=[fault]
    )


def _due(batch: Batch) -> dict[str, datetime | None]:
    """For each lane, when the first of its new deliveries is due (None: at once)."""
    due: dict[str, datetime | None] = {}
    for entry in batch.entries:
        at = entry.event.deliver_at
        for delivery in entry.deliveries:
            known = due.setdefault(delivery.subscription_id, at)
            if known is not None and (at is None or at < known):
                due[delivery.subscription_id] = at
    return due
