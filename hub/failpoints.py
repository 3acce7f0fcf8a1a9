"""Crashes on purpose at named places, which make fault drills exact; they do nothing unless the operator sets them."""

import os
import signal
from collections.abc import Callable

Failpoint = Callable[[str], None]


def failpoints(text: str) -> Failpoint:
    """A function to call at each named place, from text such as `after_accept:kill,after_2xx:kill:3`.

    The number says at which passage the process is killed; by default at the first. Raises `ValueError` for text of any
    other form.
    """
    left: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, action, *number = part.split(":")
        if action != "kill" or len(number) > 1:
            raise ValueError("failpoints have the form name:kill or name:kill:number")
        left[name] = int(number[0]) if number else 1

    def reached(name: str) -> None:
        if name in left:
            left[name] -= 1
            if left[name] == 0:
                # Not an exception: no handler and no `finally` may tidy up, as none would when the machine loses power.
                os.kill(os.getpid(), signal.SIGKILL)

    return reached
