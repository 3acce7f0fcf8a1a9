"""What may wait in the memory of a process: a share of it for each tenant."""

from hub.memory.budget import MemoryBudget

__all__ = ["MemoryBudget"]
