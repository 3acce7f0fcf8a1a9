"""The mark of clocks as stores keep it: JSON that ignores members of a newer version."""

from dataclasses import replace

import msgspec

from hub.stores.base import ClockMark

_DECODER = msgspec.json.Decoder(ClockMark)


def accepted(mark: ClockMark | None) -> ClockMark | None:
    """The same mark with nothing that is off; None where nothing was."""
    return None if mark is None or mark.trusted else replace(mark, wall_off=0.0, store_off=0.0, held=0.0)


def encoded(mark: ClockMark) -> bytes:
    return msgspec.json.encode(mark)


def decoded(kept: bytes | str) -> ClockMark | None:
    """The mark, or None where this version cannot read it."""
    try:
        return _DECODER.decode(kept)
    except msgspec.MsgspecError:
        return None
