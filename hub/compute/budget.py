"""How much processor time a piece of work may still take."""


class OverBudget(Exception):
    """The work takes more processor time, or more memory, than it may."""


class Budget:
    """Seconds of processor time, which several calls may spend together.

    Example:

        budget = Budget(2.0)
        await compute.run("default", budget, sum, range(1_000_000))
        budget.left  # 1.98
    """

    __slots__ = ("left", "seconds")

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        """What there was at the beginning."""
        self.left = seconds

    def spend(self, seconds: float) -> None:
        """Count what was computed here. Raises `OverBudget` when nothing is left."""
        self.left -= seconds
        if self.left <= 0:
            raise OverBudget
