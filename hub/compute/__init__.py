"""What is done beside the event loop: computing what tenants choose (their schemas, filters and templates), with a
limit on its processor time, and calls that block.

See docs/decisions/0031.
"""

from hub.compute.budget import Budget, OverBudget
from hub.compute.pool import ComputePool
from hub.compute.threads import Threads

__all__ = ["Budget", "ComputePool", "OverBudget", "Threads"]
