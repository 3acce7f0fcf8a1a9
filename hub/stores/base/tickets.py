"""The contract of tickets: notes that can be taken once, soon."""

from abc import ABC, abstractmethod
from datetime import datetime


class Tickets(ABC):
    """Where open tickets are kept, by the hash of their text; shared by all processes that answer requests."""

    @abstractmethod
    async def put(self, digest: str, holder: bytes, expires_at: datetime) -> None: ...

    @abstractmethod
    async def take(self, digest: str) -> bytes | None:
        """What was put there, and forget it, as one step; None if it is unknown, taken or expired."""
