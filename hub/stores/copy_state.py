"""How far a copy into a store has come, as both kinds of store keep it: one place by section, written with each piece.

The places of two sections have a meaning of their own. That of the counters, which are written when the copy begins,
is the mark of the source. That of the feed, which is copied last, becomes `whole` when the copy is complete. Stores on
disk hold exactly this: keep it, so that a copy that one release began can be continued by another.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from hub.stores.base import CopyState, Piece, Section

_WHOLE: Final = "whole"

COMPLETED: Final = (Section.FEED, Piece((), _WHOLE))
"""What a store writes when a copy is complete."""


def begun(source_mark: str, counters: Sequence[bytes]) -> tuple[Section, Piece]:
    """What a store writes when a copy begins."""
    return Section.COUNTERS, Piece(counters, source_mark)


def copy_state(places: Mapping[str, str]) -> CopyState | None:
    """The state that these places stand for; None when there is no place yet."""
    if not places:
        return None
    # The counters are written first and at once, and the mark stands where their place would.
    complete = places.get(Section.FEED) == _WHOLE
    without_place = {Section.COUNTERS, Section.FEED} if complete else {Section.COUNTERS}
    reached = {Section(name): place for name, place in places.items() if Section(name) not in without_place}
    return CopyState(places.get(Section.COUNTERS, ""), reached, complete)
