"""Threads for one use: bounded, counted, and no hindrance to the end of the process."""

import asyncio
import subprocess
import sys
import threading

import pytest

from hub.compute.threads import Threads
from hub.testing.patience import patience


async def test_a_function_runs_in_a_thread_and_its_result_or_error_comes_back() -> None:
    threads = Threads("some", 2)
    assert (await threads.run(threading.current_thread)).name == "some"
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 1, 0)
    threads.close()


async def test_no_more_calls_than_threads_are_under_way_and_the_others_wait() -> None:
    threads, go = Threads("some", 2), threading.Event()
    calls = [asyncio.create_task(threads.run(go.wait, 60.0)) for _ in range(5)]
    await asyncio.sleep(0)
    assert (threads.busy, threads.waiting) == (2, 3)
    # One that gives up before its turn is never made.
    calls[4].cancel()
    go.set()
    assert await asyncio.gather(*calls[:4]) == [True] * 4
    async with patience():
        while threads.busy or threads.waiting:
            await asyncio.sleep(0)
    threads.close()


PROGRAM = """
import asyncio, threading
from hub.compute.threads import Threads

async def main():
    asyncio.get_running_loop().create_task(Threads("some", 1).run(threading.Event().wait))
    await asyncio.sleep(0)

asyncio.run(main())
"""


@pytest.mark.process
def test_a_call_that_hangs_holds_up_no_end() -> None:
    assert subprocess.run([sys.executable, "-c", PROGRAM], timeout=60, check=False).returncode == 0
