"""What the tenants of a process share, so that none of them takes all of it."""

from hub.shares.budget import MemoryBudget
from hub.shares.turns import TenantTurns

__all__ = ["MemoryBudget", "TenantTurns"]
