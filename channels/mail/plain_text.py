"""The text form of a mail of which there is only HTML."""

import re

from channels.mail.markup import Tag, tokens

_SPACED = frozenset({
    "blockquote", "dl", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "ol", "p", "pre", "table", "ul",
})  # fmt: skip
"""Blocks with an empty line before and after them."""
_BLOCKS = _SPACED | {
    "address", "article", "aside", "center", "dd", "div", "dt", "fieldset", "figcaption", "footer", "form", "header",
    "li", "main", "nav", "section", "tbody", "tfoot", "thead", "tr",
}  # fmt: skip
MAX_READ = 102_400
"""Characters that are read. Mail programs cut longer HTML too, and reading it holds up everything else."""
_LINKS = ("http://", "https://", "mailto:", "tel:")


def text_of(html: str) -> str:
    """What a reader sees of `html`, as lines of text: links with their addresses, pictures by their descriptions."""
    reader = _Reader()
    for token in tokens(html[:MAX_READ]):
        if isinstance(token, Tag):
            reader.tag(token)
        else:
            reader.text(token)
    lines = (re.sub(r"[ \t]+", " ", line).strip() for line in "".join(reader.parts).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


class _Reader:
    def __init__(self) -> None:
        self.parts: list[str] = []
        self._new_line = True
        self._preformatted = False
        self._link = ""
        self._link_start = 0

    def text(self, text: str) -> None:
        self._new_line = self._new_line and not text.strip()
        self.parts.append(text if self._preformatted else re.sub(r"\s+", " ", text))

    def tag(self, tag: Tag) -> None:
        if tag.name in _SPACED:
            self._break("\n\n")
        elif tag.name == "br" or (tag.name in _BLOCKS and not self._new_line):
            self._break("\n")
        if tag.closes:
            self._end(tag.name)
        else:
            self._begin(tag)

    def _break(self, lines: str) -> None:
        self._new_line = True
        self.parts.append(lines)

    def _begin(self, tag: Tag) -> None:
        match tag.name:
            case "pre":
                self._preformatted = True
            case "li":
                self.parts.append("- ")
            case "td" | "th":
                self.parts.append(" ")
            case "img":
                self.text(tag.attributes.get("alt", ""))
            case "a":
                self._link, self._link_start = tag.attributes.get("href", "").strip(), len(self.parts)

    def _end(self, name: str) -> None:
        match name:
            case "pre":
                self._preformatted = False
            case "a" if self._link:
                self._end_link()

    def _end_link(self) -> None:
        shown = "".join(self.parts[self._link_start :]).strip()
        address, self._link = self._link, ""
        if address.lower().startswith(_LINKS) and shown not in {address, address.partition(":")[2]}:
            self.parts.append(f" <{address}>" if shown else address)
