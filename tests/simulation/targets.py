"""The channel of the simulation: what targets answer is chosen when the scheduler lets them answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from channels.base import Channel, Message, Receipt, SendFailed, TargetModel
from tests.simulation.calls import Calls, Held, Owner

CHANNEL: Final = "simulated"
ANSWER_SECONDS: Final = 8.0
"""How long a target takes to answer at most, when it answers."""
RETRY_AFTER_SECONDS: Final = 3.0
MOODS: Final[dict[str, tuple[str, ...]]] = {
    "well": ("ok",),
    "flaky": ("ok", "500", "hang"),
    "down": ("500",),
    "busy": ("503", "ok"),
    "throttled": ("429", "429", "ok"),
    "slow": ("hang",),
    "gone": ("410",),
    "refusing": ("permanent", "ok"),
}
"""What a target may answer in each of its moods."""


class SimulatedTarget(TargetModel):
    name: str


@dataclass
class Targets:
    """Every target by name, its mood, and what it took: `taken` has the id of each delivery that was answered 2xx."""

    random: Random
    moods: dict[str, str] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)
    sent: list[tuple[float, str, str]] = field(default_factory=list)
    """When an attempt began, of which delivery, to which target."""

    def answer(self, target: str, delivery_id: str) -> Receipt | SendFailed | None:
        """What the target answers now; None when it never does."""
        match self.random.choice(MOODS[self.moods.get(target, "well")]):
            case "ok":
                self.taken.add(delivery_id)
                return Receipt(200)
            case "hang":
                return None
            case "503":
                return SendFailed("HTTP 503", status_code=503, retry_after=RETRY_AFTER_SECONDS)
            case "429":
                return SendFailed("HTTP 429", status_code=429, retry_after=RETRY_AFTER_SECONDS)
            case "permanent":
                return SendFailed("the target takes no such message", permanent=True)
            case status:
                return SendFailed(f"HTTP {status}", status_code=int(status))


class Sending(Held):
    """A message on its way to a target."""

    def __init__(self, calls: Calls, owner: Owner, targets: Targets, target: str, message: Message) -> None:
        super().__init__(owner, f"send {target}", calls.loop.time() + ANSWER_SECONDS)
        self.answered: asyncio.Future[Receipt] = calls.loop.create_future()
        self._targets = targets
        self._target = target
        self._message = message

    def proceed(self) -> str:
        answer = None if self.answered.done() else self._targets.answer(self._target, self._message.delivery_id)
        if isinstance(answer, Receipt):
            self.answered.set_result(answer)
        elif answer is not None:
            self.answered.set_exception(answer)
        return f"{self.owner.name} {self.name}: {answer!r}"


class SimulatedChannel(Channel[SimulatedTarget]):
    kind = CHANNEL
    Target = SimulatedTarget

    def __init__(self, calls: Calls, owner: Owner, targets: Targets, began: Callable[[str, str], None]) -> None:
        self._calls = calls
        self._owner = owner
        self._targets = targets
        self._began = began

    async def send(self, message: Message, target: SimulatedTarget) -> Receipt:
        self._began(message.delivery_id, target.name)
        sending = Sending(self._calls, self._owner, self._targets, target.name, message)
        self._calls.held.append(sending)
        return await sending.answered
