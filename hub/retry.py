"""When a failed attempt is followed by another one."""

import math
from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import Field

JITTER = 0.2
RETRY_AFTER_MAX = 86_400.0
MAX_WAIT = 7 * 86_400.0

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


def next_wait(
    schedule: Sequence[float], attempt: int, *, retry_after: float | None, random: Callable[[], float]
) -> float | None:
    """Seconds from the end of failed attempt number `attempt` (from 1) to the next; None when there is no next one.

    The scheduled wait is varied by up to 20 % with `random` (0 ≤ x < 1), so that deliveries which failed together do
    not come back together. A `retry_after` of the target replaces the schedule and is obeyed exactly, up to 24 hours
    (RFC 9110, section 10.2.3); one that is zero, negative or not a number is ignored.

    Example:

        from random import random

        next_wait((5.0, 30.0), 1, retry_after=None, random=random)  # 4 to 6
        next_wait((5.0, 30.0), 1, retry_after=120.0, random=random)  # 120
        next_wait((5.0, 30.0), 3, retry_after=None, random=random)  # None
    """
    # First, so that a target cannot ask for more attempts than the schedule has.
    if attempt > len(schedule):
        return None
    if retry_after is not None and retry_after > 0 and not math.isnan(retry_after):
        return min(retry_after, RETRY_AFTER_MAX)
    return schedule[attempt - 1] * (1 - JITTER + 2 * JITTER * random())
