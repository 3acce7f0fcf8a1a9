"""As c38, without a sweep ever: whatever is due must be asked for because it was noticed."""

from tests.cases.c38_lanes_fuzz import check

check("c38b", sweeps=False)
