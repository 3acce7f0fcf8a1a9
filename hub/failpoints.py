"""Crashes on purpose, at named places, so that fault drills are exact; inert unless the operator sets them."""

import os
import signal
from collections.abc import Callable

Failpoint = Callable[[str], None]


def failpoints(text: str) -> Failpoint:
    """A function to call at each named place, from text such as `after_accept:kill,after_2xx:kill:3`.

    The number is which passage dies, the first by default. Raises `ValueError` for text of another form.
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
                os.kill(os.getpid(), signal.SIGKILL)

    return reached
