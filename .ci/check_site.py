"""Check the built site: every link leads somewhere in it, and nothing is loaded from another host.

`make docs` runs it on the HTML and the style sheets, after the build has checked the links of the Markdown.
"""

import re
import sys
from collections.abc import Iterator
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

LOADS = {
    "audio",
    "embed",
    "iframe",
    "image",
    "img",
    "input",
    "link",
    "object",
    "script",
    "source",
    "track",
    "use",
    "video",
}
"""Elements whose address a browser loads without being asked; `a` and `form` lead there only when a person does."""
ADDRESSES = {"data", "href", "poster", "src", "srcset", "xlink:href"}
RELATIONS = {"canonical", "next", "prev", "author", "license"}
"""What a `link` may name without anything being loaded."""
_STYLE_LOADS = re.compile(r"""(?:url\(\s*|@import\s+)["']?((?:https?:)?//[^"')\s]+)""", re.IGNORECASE)


class Reference(NamedTuple):
    """An address on a page. `loaded` tells whether a browser fetches it to show the page."""

    line: int
    address: str
    loaded: bool


class Page(HTMLParser):
    """The addresses on a page, the ids that links may name, and what its inline styles load."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.references: list[Reference] = []
        self.ids: set[str] = set()
        self.loads_mermaid = False
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.ids.update(filter(None, (given.get("id"), given.get("name") if tag == "a" else None)))
        # The theme fetches the script for these from another host.
        self.loads_mermaid = self.loads_mermaid or "mermaid" in given.get("class", "").split()
        loaded = tag in LOADS and not (tag == "link" and given.get("rel") in RELATIONS)
        for name in ADDRESSES & given.keys():
            for address in given[name].split(",") if name == "srcset" else [given[name]]:
                self.references.append(Reference(self.getpos()[0], address.strip().partition(" ")[0], loaded))
        for address in _STYLE_LOADS.findall(given.get("style", "")):
            self.references.append(Reference(self.getpos()[0], address, True))

    def handle_data(self, data: str) -> None:
        if self.lasttag == "style":
            self.references += [Reference(self.getpos()[0], address, True) for address in _STYLE_LOADS.findall(data)]


class Site:
    """The built pages and style sheets below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    @cached_property
    def pages(self) -> dict[Path, Page]:
        return {path: Page(path) for path in sorted(self.root.rglob("*.html"))}

    def faults(self) -> Iterator[str]:
        for page in self.pages.values():
            place = page.path.relative_to(self.root).as_posix()
            if page.loads_mermaid:
                yield f"{place}: a Mermaid diagram, whose script comes from another host"
            for line, address, loaded in page.references:
                if fault := self._fault(page, address, loaded=loaded):
                    yield f"{place}:{line}: {address} {fault}"
        for path in sorted(self.root.rglob("*.css")):
            for address in _STYLE_LOADS.findall(path.read_text()):
                yield f"{path.relative_to(self.root).as_posix()}: {address} is loaded from another host"

    def _fault(self, page: Page, address: str, *, loaded: bool) -> str | None:
        parts = urlsplit(address)
        if parts.netloc:
            return "is loaded from another host" if loaded else None
        if parts.scheme:
            return None
        target = self._target(page, unquote(parts.path))
        if target is None or not target.exists():
            return "leads nowhere"
        known = self.pages.get(target)
        if parts.fragment and known and unquote(parts.fragment) not in known.ids:
            return f"leads to no part of {target.name}"
        return None

    def _target(self, page: Page, path: str) -> Path | None:
        """The file that a path of a page means; None for one outside the site."""
        base = self.root if path.startswith("/") else page.path.parent
        target = (base / path.lstrip("/")).resolve() if path else page.path
        if target.is_dir():
            target /= "index.html"
        return target if target.is_relative_to(self.root) else None


def main(root: Path) -> int:
    site = Site(root)
    faults = list(dict.fromkeys(site.faults()))
    sys.stdout.writelines(f"{fault}\n" for fault in faults)
    if not site.pages:
        sys.stdout.write(f"{root} has no pages\n")
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
