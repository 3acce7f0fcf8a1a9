"""A simulation: the scheduler, and what happens to the processes."""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final

from hub.catalogue.keys.model import Principal
from hub.catalogue.subscriptions import SubscriptionSpec
from hub.errors import HubError
from hub.models import Delivery, Scope
from hub.publishing.event import ParsedEvent
from tests.simulation.calls import Call, Calls
from tests.simulation.loop import SimulatedClock, SimulatedLoop
from tests.simulation.oracle import Broken, Oracle, claims_in
from tests.simulation.process import Ports, Process, owned_task
from tests.simulation.targets import CHANNEL, MOODS, Targets

TENANT: Final = "ten_a"
_OPERATOR: Final = Principal("key_1", TENANT, frozenset({Scope.ADMIN}))
CAP: Final = 2
SCHEDULE: Final = (1.0, 4.0, 9.0)
TYPES: Final = ("order.created", "order.paid", "stock.low")
PATTERNS: Final = (("*",), ("order.*",), ("order.paid",), ("stock.low", "order.created"))
STEADY: Final = "steady"
"""The target that is always well."""
FIRST_TARGETS: Final = 4
DRAIN_SECONDS: Final = 7_200.0
MOST_STEPS: Final = 60_000

_ID: Final = re.compile(r"[a-z]{3}_[0-9a-f]{32}")

OpenPorts = Callable[[SimulatedClock, Random], AbstractAsyncContextManager[Ports]]
"""Opens the store once more, as a process that starts does. The first time it is empty."""
ReadAll = Callable[[Ports], Awaitable[Mapping[str, Delivery]]]


@dataclass
class Outcome:
    """How a simulation ended: the digest of its trace, and what was wrong."""

    seed: int
    digest: str
    steps: int
    events: int
    problem: str | None
    trace: Sequence[str] = field(repr=False)


class World:
    """Chooses at each step what goes on: one of the calls that are held, the time, or something that happens."""

    def __init__(
        self,
        seed: int,
        open_ports: OpenPorts,
        read_all: ReadAll,
        *,
        processes: int,
        happenings: int,
        leases_go_by_time_of_day: bool = False,
    ) -> None:
        """With `leases_go_by_time_of_day` the clock of processes is also that of the machine with the store, and what
        waits there waits for longer when it is set back (docs/decisions/0027)."""
        self.random = Random(seed)
        self._seed = seed
        self._open_ports = open_ports
        self._read_all = read_all
        self._left = happenings
        self._number = processes
        self._loop = SimulatedLoop()
        self._loop.set_task_factory(owned_task)
        self.clock = SimulatedClock(self._loop)
        self.calls = Calls(self._loop, self._ran)
        self.targets = Targets(self.random)
        self.oracle = Oracle(self.targets, CAP)
        self.processes: dict[str, Process] = {}
        self._stores: dict[str, tuple[Ports, AbstractAsyncContextManager[Ports]]] = {}
        self._names: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._trace: list[str] = []
        self._steps = 0
        self._published = 0
        self._drained_by: float | None = None
        self._leases_go_by_time_of_day = leases_go_by_time_of_day
        self._furthest_ahead = 0.0
        """By how many seconds the time of day was ahead at most."""
        self._set_back_until = 0.0
        """Until when a lease may last longer because the time of day was set back."""
        self._ended: asyncio.Future[str | None] = self._loop.create_future()

    def run(self) -> Outcome:
        try:
            problem = self._loop.run_until_complete(self._run())
        finally:
            self._loop.close()
        digest = hashlib.sha256("\n".join(self._trace).encode()).hexdigest()
        return Outcome(self._seed, digest, self._steps, len(self.oracle.expected), problem, self._trace)

    async def _run(self) -> str | None:
        for number in range(self._number):
            await self._start(f"p{number + 1}")
        self._loop.idle = self._step
        try:
            return await self._ended
        finally:
            self._loop.idle = None
            for process in self.processes.values():
                process.kill()
            for _, opened in self._stores.values():
                await opened.__aexit__(None, None, None)
            await self._let_die()

    # -- the scheduler -----------------------------------------------------------------------------------------------

    def _step(self, until_timer: float | None) -> None:
        try:
            self._choose(until_timer)
        except Broken as broken:
            self._end(self._named(str(broken)))

    def _end(self, problem: str | None) -> None:
        if not self._ended.done():
            self._ended.set_result(problem)

    def _choose(self, until_timer: float | None) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise Broken("the processes are busy without an end")
        if (failure := self.calls.failure) is not None:
            raise failure if isinstance(failure, Broken) else Broken(f"at the store: {failure!r}")
        for process in self.processes.values():
            if process.crashed is not None:
                raise Broken(f"a loop of {process.name} ended: {process.crashed!r}")
        held = self.calls.held
        # What is held goes on most of the time; otherwise everything would time out.
        roll = self.random.random()
        if held and roll < 0.75:
            self._proceed(self.random.randrange(len(held)))
        elif self._left and roll < 0.85:
            self._left -= 1
            self._happen()
            if not self._left:
                self._drain()
        else:
            self._pass_time(until_timer)
        self._look_for_the_end()

    def _proceed(self, index: int) -> None:
        self._note(self.calls.held.pop(index).proceed())

    def _pass_time(self, until_timer: float | None) -> None:
        now = self._loop.time()
        wait = 5.0 if until_timer is None else until_timer
        if self.calls.held:
            late = min(self.calls.held, key=lambda held: held.deadline)
            if late.deadline - now <= 0:
                self._proceed(self.calls.held.index(late))
                return
            wait = min(wait, late.deadline - now)
        self._note(f"+{wait:.3f} s")
        self._loop.advance(wait)

    def _note(self, text: str) -> None:
        self._trace.append(f"{self._loop.time():.3f} {text}")

    def _named(self, text: str) -> str:
        return _ID.sub(lambda found: self.name(found[0]), text)

    def name(self, id_: str) -> str:
        """A short name for an id: the same in each run of a seed."""
        if id_ not in self._names:
            kind, _, _ = id_.partition("_")
            self._counts[kind] += 1
            self._names[id_] = f"{kind}{self._counts[kind]}"
        return self._names[id_]

    # -- what calls did ----------------------------------------------------------------------------------------------

    async def _ran(self, call: Call, result: Any) -> None:
        self.oracle.note(call, result)
        if call.name in ("queue.claim", "queue.finish", "queue.reclaim", "intake.accept", "intake.expand"):
            ports = next(iter(self._stores.values()))[0]
            deliveries = await self._read_all(ports)
            claimed = self._claimed()
            if call.name in ("queue.claim", "queue.reclaim") and call.owner.alive:
                claimed |= {claim.delivery.id for claim in claims_in(result)}
            self.oracle.look(deliveries, claimed, self._loop.time(), self.clock.now(), calm=self._is_punctual())
            for one in deliveries.values():
                self.name(one.id)
            shown = ((self.name(one.id), one.status.value, one.attempt_count, one.token) for one in deliveries.values())
            self._note(f"store: {sorted(shown)}")

    def _claimed(self) -> set[str]:
        """What live processes work on; nothing else tells who has a claim."""
        return {
            claim.delivery.id for process in self.processes.values() for claim in process.dispatcher._attempter.claims()
        }

    def _is_calm(self) -> bool:
        return not self.calls.outage and len(self.processes) == self._number

    def _is_punctual(self) -> bool:
        return self._is_calm() and self._loop.time() >= self._set_back_until

    def _began(self, process: Process, delivery_id: str, target: str) -> None:
        self.targets.sent.append((self._loop.time(), delivery_id, target))

    # -- what happens ------------------------------------------------------------------------------------------------

    def _happen(self) -> None:
        if len(self.targets.moods) < FIRST_TARGETS:
            self._subscribe()
            return
        happenings: list[tuple[Callable[[], None], int]] = [
            (self._publish, 12),
            (self._subscribe, 3),
            (self._change, 3),
            (self._delete, 1),
            (self._change_mood, 5),
            (self._cancel, 2),
            (self._replay, 2),
            (self._crash, 2),
            (self._step_clock, 2),
            (self._fail_store, 2),
        ]
        (happening,) = self.random.choices([one for one, _ in happenings], [weight for _, weight in happenings])
        happening()

    def _any_process(self) -> Process | None:
        return self.random.choice([*self.processes.values()]) if self.processes else None

    def _request(self, text: str, work: Callable[[Process], Awaitable[object]]) -> None:
        """A request of a client to any process."""
        process = self._any_process()
        self._note(text if process is None else f"{process.name} {text}")
        if process is not None:
            process.begin(_answered(work, process))

    def _publish(self) -> None:
        self._published += 1
        kind, source_id = self.random.choice(TYPES), f"n{self._published}"
        if self._published > 1 and self.random.random() < 0.1:
            source_id = f"n{self._published - 1}"
        wait = self.random.choice((None, None, None, 20.0))
        lifetime = self.random.choice((None, None, None, None, 30.0))
        event = ParsedEvent(
            kind,
            "/simulation",
            source_id,
            None,
            None,
            b"{}",
            {},
            deliver_at=None if wait is None else self.clock.now() + timedelta(seconds=wait),
            expires_at=None if lifetime is None else self.clock.now() + timedelta(seconds=lifetime),
        )
        self._request(f"publish {kind} {source_id}", lambda process: process.publisher.publish_one(TENANT, event, None))

    def _subscribe(self) -> None:
        first = not self.targets.moods
        name = STEADY if first else f"t{len(self.targets.moods)}"
        self.targets.moods[name] = "well" if first else self.random.choice([*MOODS])
        self._request(f"subscribe {name}", lambda process: self._create(process, name, self.random.choice(PATTERNS)))

    async def _create(self, process: Process, name: str, patterns: Sequence[str]) -> None:
        spec = SubscriptionSpec(
            name=name,
            event_types=tuple(patterns),
            channel=CHANNEL,
            target={"name": name},
            max_in_flight=CAP,
            retry_schedule=SCHEDULE,
        )
        created = await process.subscriptions.create(_OPERATOR, spec)
        if name == STEADY:
            self.oracle.steady = created.id

    def _any_subscription(self) -> str | None:
        known = [id_ for id_ in sorted(self.oracle.patterns) if id_ != self.oracle.steady]
        return self.random.choice(known) if known else None

    def _change(self) -> None:
        if (id_ := self._any_subscription()) is None:
            return
        enabled = id_ in self.oracle.disabled or self.random.random() < 0.5
        self.targets.moods[name := f"t{len(self.targets.moods) + 1}"] = "well"
        merge: dict[str, Any] = {"enabled": True, "target": {"name": name}} if enabled else {"enabled": False}
        self._request(
            f"change {self.name(id_)} {merge}", lambda process: process.subscriptions.patch(_OPERATOR, id_, merge)
        )

    def _delete(self) -> None:
        if (id_ := self._any_subscription()) is not None:
            self._request(f"delete {self.name(id_)}", lambda process: process.subscriptions.delete(TENANT, id_))

    def _change_mood(self) -> None:
        names = [name for name in self.targets.moods if name != STEADY]
        if names:
            name, mood = self.random.choice(names), self.random.choice([*MOODS])
            self.targets.moods[name] = mood
            self._note(f"{name} is {mood}")

    def _any_event(self) -> str | None:
        return self.random.choice([*self.oracle.expected]) if self.oracle.expected else None

    def _cancel(self) -> None:
        if (id_ := self._any_event()) is not None:
            self._request(f"cancel {self.name(id_)}", lambda process: process.deliveries.cancel_event(TENANT, id_))

    def _replay(self) -> None:
        if (id_ := self._any_event()) is not None:
            self._request(
                f"replay {self.name(id_)}", lambda process: process.deliveries.replay_event(TENANT, id_, None)
            )

    def _step_clock(self) -> None:
        # Back to the right time before the next jump, so that what was put off to an instant is due some day.
        seconds = -self.clock.stepped_seconds or self.random.choice((-600.0, -60.0, 60.0, 600.0))
        self._note(f"the time of day jumps by {seconds:g} s")
        self._furthest_ahead = max(self._furthest_ahead, self.clock.stepped_seconds)
        self.clock.step(seconds)
        if self._leases_go_by_time_of_day:
            lengthened = self._furthest_ahead - self.clock.stepped_seconds
            self._set_back_until = max(self._set_back_until, self._loop.time() + lengthened)

    def _fail_store(self) -> None:
        self._note("the store is away")
        self.calls.outage = True
        self._loop.call_later(self.random.uniform(1.0, 20.0), self._mend_store)

    def _mend_store(self) -> None:
        self._note("the store is back")
        self.calls.outage = False

    def _crash(self) -> None:
        if (process := self._any_process()) is not None:
            self._note(f"{process.name} is killed")
            del self.processes[process.name]
            process.kill()
            self._loop.call_later(self.random.uniform(0.1, 15.0), self._restart, process.name)

    def _restart(self, name: str) -> None:
        self._note(f"{name} starts")
        self.calls.start(self._reopen(name))

    async def _reopen(self, name: str) -> None:
        _, opened = self._stores.pop(name)
        await opened.__aexit__(None, None, None)
        await self._start(name)

    async def _start(self, name: str) -> None:
        opened = self._open_ports(self.clock, self.random)
        ports = await opened.__aenter__()
        self._stores[name] = ports, opened
        process = Process(name, ports, self.calls, self.targets, self.clock, self.random, self._began)
        self.processes[name] = process
        process.begin(process.run())

    async def _let_die(self) -> None:
        # A task that was cancelled may wait for others once more; each turn ends some.
        this = asyncio.current_task()
        while left := [task for task in asyncio.all_tasks() if task is not this]:
            for task in left:
                task.cancel()
            await asyncio.sleep(0)

    # -- the end -----------------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        """From here on nothing goes wrong any more, so everything must come to its end."""
        self._note("drain")
        self._drained_by = self._loop.time() + DRAIN_SECONDS
        for name in self.targets.moods:
            self.targets.moods[name] = "well"

    def _look_for_the_end(self) -> None:
        if self._drained_by is None:
            return
        unfinished = self.oracle.unfinished()
        if not unfinished and self._is_calm():
            self._end(None)
        elif self._loop.time() > self._drained_by:
            raise Broken(f"not ended after {DRAIN_SECONDS:g} s: {'; '.join(sorted(unfinished)[:5])}")


async def _answered(work: Callable[[Process], Awaitable[object]], process: Process) -> None:
    try:
        await work(process)
    except HubError:
        # The client is told; what it asked for has happened whole, or not at all.
        return
