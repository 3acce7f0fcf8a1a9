"""The tags and texts of HTML, read in time that grows with its length only.

The HTML of a mail comes from templates of tenants. The standard library's parser takes quadratic time for tags without
an end, so it would let one template stop the whole process.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple

_NAME = re.compile(r"/?([a-zA-Z][^\s/>]*)")
_ATTRIBUTE = re.compile(r"""(?<![\w-])(href|alt)\s{0,8}=\s{0,8}("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_RAW = frozenset({"script", "style", "template", "title", "textarea"})
"""Elements whose content is not markup, or is not shown."""


class Tag(NamedTuple):
    """The beginning or, with `closes`, the end of an element; `attributes` may have `href` and `alt`."""

    name: str
    closes: bool
    attributes: dict[str, str]


def tokens(html: str) -> Iterator[Tag | str]:
    """The tags and the texts between them, decoded, in their order, without comments and scripts."""
    position = 0
    while (start := html.find("<", position)) >= 0:
        if start > position:
            yield unescape(html[position:start])
        opened = _NAME.match(html, start + 1)
        if opened is None and html[start + 1 : start + 2] not in {"!", "?", "/"}:
            yield "<"
            position = start + 1
        elif html.startswith("<!--", start):
            position = _after(html, "-->", start + 2)
        elif (position := _end_of_tag(html, start)) < 0:
            yield unescape(html[start:])
            return
        elif opened is not None:
            tag = _tag(opened[1].lower(), html[start + 1 : position - 1])
            yield tag
            if tag.name in _RAW and not tag.closes:
                position = _end_of_raw(html, tag.name, position)
    if position < len(html):
        yield unescape(html[position:])


def _tag(name: str, inner: str) -> Tag:
    if inner.startswith("/") or "=" not in inner:
        return Tag(name, inner.startswith("/"), {})
    return Tag(
        name, closes=False, attributes={m[1].lower(): unescape(m[2].strip("\"'")) for m in _ATTRIBUTE.finditer(inner)}
    )


def _end_of_tag(html: str, start: int) -> int:
    """The place after the `>` that ends a tag, which is not one inside quotation marks; -1 without one."""
    end, quotes = html.find(">", start), 0
    while end >= 0:
        quotes += html.count('"', start, end)
        if quotes % 2 == 0:
            return end + 1
        start, end = end, html.find(">", end + 1)
    return -1


def _after(text: str, what: str, start: int) -> int:
    found = text.find(what, start)
    return len(text) if found < 0 else found + len(what)


def _end_of_raw(html: str, name: str, start: int) -> int:
    found = re.compile(f"</{name}", re.IGNORECASE).search(html, start)
    return len(html) if found is None else found.start()
