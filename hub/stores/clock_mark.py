"""The mark of clocks as stores keep it: JSON that ignores members of a newer version."""

import msgspec

from hub.stores.base import ClockMark

_DECODER = msgspec.json.Decoder(ClockMark)


def encoded(mark: ClockMark) -> bytes:
    return msgspec.json.encode(mark)


def decoded(kept: bytes | str) -> ClockMark | None:
    """The mark, or None where this version cannot read it."""
    try:
        return _DECODER.decode(kept)
    except msgspec.MsgspecError:
        return None
