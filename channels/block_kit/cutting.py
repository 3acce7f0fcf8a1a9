"""Cutting text for Slack where its grammar allows it: between characters as people see them, never inside an entity, a
link or a fence."""

import re
import unicodedata
from itertools import takewhile

ELLIPSIS = "…"
_ENTITY = r"&(?:[a-z]{1,6}|#[0-9]{1,6});"
_PLAIN = re.compile(rf"{_ENTITY}|.", re.DOTALL)
# https://docs.slack.dev/messaging/formatting-message-text: links and mentions are `<…>`, code is `…` or ```…```.
_MRKDWN = re.compile(rf"```|`|<[^<>]+>|{_ENTITY}|.", re.DOTALL)
_LINK = re.compile(r"<([^<>|]+)\|([^<>]+)>")
_LEAST_LABEL = 8
_JOINER = "\N{ZERO WIDTH JOINER}"
_WIDE = re.compile(r"[\U00010000-\U0010ffff]")


def cut(text: str, limit: int, *, mrkdwn: bool = True) -> str:
    """At most `limit` characters of the text, the last of them `…` when something was left out.

    Counts UTF-16 code units, so that the text keeps to the limit however Slack counts. In `mrkdwn` a link is cut only
    in its label, and code that the cut would leave open is closed behind the `…`. The limit must be 7 at least.
    """
    if _length(text) <= limit:
        return text
    kept, size, open_code = "", 0, ""
    for piece in (_MRKDWN if mrkdwn else _PLAIN).finditer(text):
        room = limit - size
        size += _length(piece[0])
        if size >= limit:
            link = _shortened(piece[0], room - len(open_code)) if mrkdwn else ""
            return text[: piece.start()] + link + open_code if link else kept or ELLIPSIS
        if mrkdwn:
            open_code = _after(piece[0], open_code)
        ending = ELLIPSIS + open_code
        if size + len(ending) <= limit and not _continues(text, piece.end()):
            kept = text[: piece.end()] + ending
    return kept or ELLIPSIS


def _shortened(piece: str, limit: int) -> str:
    """A link with its label cut, at most `limit` characters in all; empty where that leaves too little of the label."""
    link = _LINK.fullmatch(piece)
    if link is None:
        return ""
    room = limit - _length(link[1]) - len("<|>")
    return f"<{link[1]}|{cut(link[2], room, mrkdwn=False)}>" if _LEAST_LABEL <= room < _length(link[2]) else ""


def _length(text: str) -> int:
    return len(text) + len(_WIDE.findall(text))


def _after(piece: str, open_code: str) -> str:
    """What closes the code that is open behind this piece; nothing when none is."""
    if piece == open_code or (piece == "\n" and open_code == "`"):
        return ""
    return piece if piece in {"`", "```"} and not open_code else open_code


def _continues(text: str, index: int) -> bool:
    """Whether the character at `index` is part of the one before, as in emoji that are made of several.

    Covers what occurs of extended grapheme clusters (https://unicode.org/reports/tr29/): marks, joiners, modifiers of
    emoji, tags and flags.
    """
    if index == len(text):
        return False
    after, before = text[index], text[index - 1]
    if _JOINER in {after, before} or unicodedata.category(after).startswith("M"):
        return True
    if "\U0001f3fb" <= after <= "\U0001f3ff" or "\U000e0020" <= after <= "\U000e007f":
        return True
    # Flags are pairs of regional indicators.
    flags = sum(1 for _ in takewhile(_is_indicator, reversed(text[max(0, index - 64) : index])))
    return _is_indicator(after) and flags % 2 == 1


def _is_indicator(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"
