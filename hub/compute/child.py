"""The program of a process that computes: it answers one call after the other until its input ends.

Each call is a function and its arguments, pickled by the parent, with a limit on the processor time. The kernel ends
the process at that limit, whatever code is running then, and the parent starts another.
"""

import os
import pickle
import resource
import signal
import struct
import sys
import time
from typing import IO, Any

LENGTH = struct.Struct("!Q")
"""Stands before each message, in both directions."""
NICENESS = 5
"""Serving requests comes first where processors are short."""
MEMORY_BYTES = 2 * 1024**3


def main() -> None:
    """Answer until standard input ends."""
    # These come to the whole group, from a terminal or a service manager; the parent decides when this process ends.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    os.nice(NICENESS)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > MEMORY_BYTES:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # What a library prints must not get among the answers.
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        while (call := _read(sys.stdin.buffer)) is not None:
            _write(answers, _answer(call))


def _answer(call: bytes) -> bytes:
    """The pickled result: whether the function returned, what it returned or raised, and the processor time in
    seconds."""
    # Before the timer: what has to be imported for the first call is not the fault of that call.
    seconds, function, arguments = pickle.loads(call)  # noqa: S301 - from the parent, over a pipe that nobody else has
    began = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        result: tuple[bool, Any] = True, function(*arguments)
    except Exception as error:  # noqa: BLE001 - raised where the call was made
        result = False, error
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return pickle.dumps((*result, time.process_time() - began))


def _read(stream: IO[bytes]) -> bytes | None:
    head = stream.read(LENGTH.size)
    return stream.read(LENGTH.unpack(head)[0]) if len(head) == LENGTH.size else None


def _write(stream: IO[bytes], message: bytes) -> None:
    stream.write(LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()
