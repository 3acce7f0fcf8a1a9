"""Computing what tenants choose (their schemas, filters and templates) off the event loop, with a limit on its time.

See docs/decisions/0031.
"""

from hub.compute.budget import Budget, OverBudget
from hub.compute.pool import ComputePool

__all__ = ["Budget", "ComputePool", "OverBudget"]
