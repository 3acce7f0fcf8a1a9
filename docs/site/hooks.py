"""What the site adds to the pages of `docs/`: the navigation, and pages that are kept elsewhere in the tree.

A new page needs no entry anywhere: it appears in the section of its folder. Links that lead out of `docs/` are valid in
the plain tree, so they are turned here into links to pages, or into plain text where they lead to code.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "benchmarks/README.md": "project/benchmarks.md",
    "examples/README.md": "guides/examples.md",
}
"""Files from outside `docs/` that are pages of the site, by path in the tree."""
FIRST = ["index.md", "getting-started.md", "concepts.md", "architecture.md"]
"""The order of the pages that belong to no section."""
SECTIONS = {"Guides": "guides", "Reference": "reference", "Decisions": "decisions", "Project": "project"}

_FENCE = re.compile(r"^\s*(```|~~~)")
_LINK = re.compile(r"(?<!!)\[(?P<text>[^\[\]]+)\]\((?P<path>[^()#\s:]+)(?P<anchor>#[^()\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Make the navigation from the files that there are."""
    uris = sorted({*_own_uris(), *_kept_elsewhere().values()})
    loose = sorted((uri for uri in uris if "/" not in uri), key=lambda uri: (_rank(uri), uri))
    sections = {title: [uri for uri in uris if uri.startswith(f"{folder}/")] for title, folder in SECTIONS.items()}
    for pages in sections.values():
        # The list of a section comes before what it lists.
        pages.sort(key=lambda uri: (not uri.endswith("/README.md"), uri))
    config.nav = [{"Start": loose}, *({title: pages} for title, pages in sections.items() if pages)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are kept outside `docs/`."""
    for path, uri in _kept_elsewhere().items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Turn links that are valid in the tree into links that are valid in the site; code blocks stay as they are."""
    source, uri = Path(page.file.abs_src_path or "").resolve(), page.file.src_uri
    return "".join(
        text if is_code else _LINK.sub(lambda link: _in_site(link, source, uri), text)
        for is_code, text in _parts(markdown)
    )


def _own_uris() -> Iterator[str]:
    yield from (path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))


def _kept_elsewhere() -> Mapping[str, str]:
    return {path: uri for path, uri in PAGES.items() if (ROOT / path).exists()}


def _rank(uri: str) -> int:
    return FIRST.index(uri) if uri in FIRST else len(FIRST)


def _parts(markdown: str) -> Iterator[tuple[bool, str]]:
    """The page cut into prose and code blocks, and which of them each part is."""
    is_code, lines = False, list[str]()
    for line in markdown.splitlines(keepends=True):
        if _FENCE.match(line):
            yield is_code, "".join(lines)
            is_code, lines = not is_code, []
        lines.append(line)
    yield is_code, "".join(lines)


def _in_site(link: re.Match[str], source: Path, uri: str) -> str:
    """A link as the site needs it; one that leads nowhere is left for the build to fail on."""
    target = (source.parent / link["path"]).resolve()
    if target.is_dir() and (target / "README.md").exists():
        target /= "README.md"
    if not target.exists() or not target.is_relative_to(ROOT):
        return link[0]
    path = target.relative_to(ROOT).as_posix()
    page = path.removeprefix("docs/") if target.is_relative_to(DOCS) else PAGES.get(path)
    if page is None or target.is_dir():
        return link["text"]
    return f"[{link['text']}]({posixpath.relpath(page, posixpath.dirname(uri))}{link['anchor'] or ''})"
