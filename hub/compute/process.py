"""The parent's side of a process that computes."""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hub.compute.budget import Budget, OverBudget
from hub.compute.child import LENGTH
from hub.errors import Unavailable

_PROGRAM = "from hub.compute.child import main; main()"
PATIENCE_SECONDS = 60.0
"""How long to wait for an answer, whatever the processor time: on a machine that is this slow nothing else works."""


class ComputeProcess:
    """Makes one call at a time. The process is started by the first call, and by the next one after it has died."""

    def __init__(self) -> None:
        self._child: Process | None = None

    @property
    def is_running(self) -> bool:
        return self._child is not None

    async def call(self, budget: Budget, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """What the function returns. Raises what it raises, `OverBudget`, and `Unavailable` where no process can be
        started. What it took is spent from `budget`."""
        if budget.left <= 0:
            raise OverBudget
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                answer = await self._exchange(pickle.dumps((budget.left, function, arguments)))
        except (ConnectionError, EOFError):
            # It was ended by the limit of its time, or for want of memory: the work was at fault in both cases.
            await self._forget()
            budget.left = 0.0
            raise OverBudget from None
        except (OSError, TimeoutError):
            await self.kill()
            raise Unavailable("This cannot be computed now; nothing was accepted.", retry_after=1) from None
        except BaseException:
            # The caller gave up, and the answer that is still to come would be taken for that of the next call.
            await self.kill()
            raise
        returned, result, seconds = pickle.loads(answer)  # noqa: S301 - from our own process, which runs our own code
        budget.left -= seconds
        if returned:
            return result
        raise OverBudget if isinstance(result, MemoryError) else result

    async def kill(self) -> None:
        """End it, if it is running."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()
        await self._forget()

    async def _forget(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        # Its pipes are closed when it has ended.
        await child.wait()

    async def _exchange(self, call: bytes) -> bytes:
        child = self._child
        if child is None or child.returncode is not None:
            child = self._child = await _start()
        if child.stdin is None or child.stdout is None:
            raise ConnectionError
        child.stdin.write(LENGTH.pack(len(call)))
        child.stdin.write(call)
        await child.stdin.drain()
        (size,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
        return await child.stdout.readexactly(size)


async def _start() -> Process:
    # Without the environment of the hub, which holds its secrets.
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PATH": os.defpath}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", _PROGRAM, stdin=PIPE, stdout=PIPE, env=environment
    )
