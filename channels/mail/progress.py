"""Who of a mail's recipients has it, from one attempt to the next."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec


class _Kept(msgspec.Struct, omit_defaults=True):
    taken: list[str] = []
    refused: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Progress:
    """What earlier attempts came to, by address: who was taken, and who was refused for good, with the answer.

    Example:

        progress = Progress(frozenset({"ann@example.com"}), {"bob@example.com": "550 No such user"})
        Progress.read(progress.text()) == progress  # True
        progress.missing(["ann@example.com", "bob@example.com", "eve@example.com"])  # ("eve@example.com",)
    """

    taken: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, checkpoint: str | None) -> "Progress":
        """What `text` gave. Whatever else it is counts as nothing: a second copy is better than no mail."""
        try:
            kept = msgspec.json.decode(checkpoint or "{}", type=_Kept)
        except msgspec.DecodeError:
            return cls()
        return cls(frozenset(kept.taken), kept.refused)

    def text(self) -> str:
        return msgspec.json.encode(_Kept(sorted(self.taken), dict(self.refused))).decode()

    def missing(self, recipients: Sequence[str]) -> tuple[str, ...]:
        """Who is still to be tried, in their order. Those who were refused for good are tried again, for example after
        a replay, once nobody else is left."""
        without = tuple(one for one in recipients if one not in self.taken)
        return tuple(one for one in without if one not in self.refused) or without
