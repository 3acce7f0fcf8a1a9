"""Running a command as its entry point does, in this process."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tests.receivers import Answer

ACCEPTED = Answer(202, '{"id": "evt_1", "type": "order.created", "status": "accepted", "duplicate": false}')

KEY = "k" * 40


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


Hub = Callable[..., Ran]


async def beside(work: Callable[..., Ran], *arguments: str) -> Ran:
    return await asyncio.to_thread(work, *arguments)
