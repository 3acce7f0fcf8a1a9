"""When a failed attempt is followed by another one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

JITTER = 0.2
RETRY_AFTER_MAX = 86_400.0
MAX_WAIT = 7 * 86_400.0
MOST_ATTEMPTS: Final = 200
"""How many attempts a delivery has at most, without those before a replay: waits that a target asks for may be short,
and then they use up its schedule slowly."""
_ROUNDING: Final = 1e-9
"""Parts of a step are added up, and such sums are not exact."""

DEFAULT_SCHEDULE = (
    5.0,
    30.0,
    2 * 60.0,
    10 * 60.0,
    30 * 60.0,
    2 * 3_600.0,
    5 * 3_600.0,
    10 * 3_600.0,
    14 * 3_600.0,
    20 * 3_600.0,
    24 * 3_600.0,
)
"""Seconds after attempt 1, 2, …: eleven retries within a little more than three days."""

RetrySchedule = Annotated[
    tuple[Annotated[float, Field(ge=0, le=MAX_WAIT, allow_inf_nan=False, strict=True)], ...],
    Field(max_length=50, examples=[[5, 60, 600]]),
]
"""A subscription's own schedule: at most 50 waits of at most seven days each; none for a single attempt."""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait for the next attempt, and how many steps of the schedule are used up by then."""

    seconds: float
    steps: float


def next_wait(
    schedule: Sequence[float],
    steps: float,
    *,
    retry_after: float | None = None,
    throttled: bool = False,
    random: Callable[[], float],
) -> Wait | None:
    """The wait after a failed attempt, when so many `steps` of the schedule are used up; None when there is no next
    attempt.

    The scheduled wait is varied by up to 20 % with `random` (0 ≤ x < 1), so that deliveries which failed together do
    not come back together. A target that is `throttled` (429) says when it takes the next one, so its `retry_after` is
    obeyed exactly. One that is shorter than the scheduled wait uses up only that part of the step. Of any other target
    `retry_after` is a lower bound (RFC 9110, section 10.2.3). It counts up to 24 hours; one that is zero, negative or
    not a number is ignored.

    Example:

        from random import random

        next_wait((5.0, 30.0), 0, random=random)  # 4 to 6 s, and one step is used up
        next_wait((5.0, 30.0), 0, retry_after=120.0, random=random)  # 120 s, and one step is used up
        next_wait((5.0, 30.0), 0, retry_after=1.0, throttled=True, random=random)  # 1 s, and a fifth of a step
        next_wait((5.0, 30.0), 2, random=random)  # None
    """
    step = int(steps + _ROUNDING)
    # First, so that a target cannot ask for another attempt when the schedule has ended.
    if step >= len(schedule):
        return None
    asked = 0.0 if retry_after is None or math.isnan(retry_after) else min(max(retry_after, 0.0), RETRY_AFTER_MAX)
    if throttled and asked:
        part = asked / schedule[step] if asked < schedule[step] else 1.0
        return Wait(asked, min(steps + part, step + 1.0))
    scheduled = schedule[step] * (1 - JITTER + 2 * JITTER * random())
    return Wait(max(scheduled, asked), step + 1.0)
