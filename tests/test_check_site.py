"""What the check of the built site finds, and what it leaves to the reader's click."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[1] / ".ci" / "check_site.py"
PAGE = '<html><body><h1 id="top">Page</h1>{}</body></html>'

Check = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def check(tmp_path: Path) -> Check:
    """Checks a site of `index.html` with this body, `guides/other.html`, and the files given by path."""

    def run(body: str = "", **files: str) -> tuple[int, list[str]]:
        site = {"index.html": PAGE.format(body), "guides/other.html": PAGE.format(""), "assets/a.js": "", **files}
        for name, text in site.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        ran = subprocess.run([sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, check=False)
        assert ran.stderr == ""
        return ran.returncode, ran.stdout.splitlines()

    return run


@pytest.mark.parametrize(
    "body",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<script src="//cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="https://fonts.example/css">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<img src="http://img.example/a.png">',
        '<img src="assets/a.js" srcset="assets/a.js 1x, https://img.example/a.png 2x">',
        '<iframe src="https://video.example/1"></iframe>',
        '<style>@import "https://fonts.example/css";</style>',
        '<p style="background: url(https://img.example/a.png)"></p>',
    ],
)
def test_what_would_be_loaded_from_another_host_is_found(check: Check, body: str) -> None:
    status, (fault,) = check(body)
    assert status == 1
    assert fault.startswith("index.html:1: ")
    assert fault.endswith(" is loaded from another host")


def test_a_style_sheet_that_loads_from_another_host_is_found(check: Check) -> None:
    status, faults = check(**{"assets/a.css": "@font-face { src: url('https://fonts.example/a.woff2'); }"})
    assert (status, faults) == (1, ["assets/a.css: https://fonts.example/a.woff2 is loaded from another host"])


def test_a_diagram_whose_script_would_be_fetched_is_found(check: Check) -> None:
    status, faults = check('<pre class="highlight mermaid">graph</pre>')
    assert (status, faults) == (1, ["index.html: a Mermaid diagram, whose script comes from another host"])


@pytest.mark.parametrize(
    "body",
    [
        '<a href="https://www.example.com/">a link that a person may follow</a>',
        '<a href="mailto:hub@example.com">mail</a>',
        '<a href="guides/other.html#top">a part of a page</a>',
        '<a href="#top">a part of this page</a>',
        '<a href=".">this page</a>',
        '<script src="assets/a.js?v=2"></script>',
        '<img src="data:image/png;base64,AAAA">',
        '<link rel="canonical" href="https://docs.example.com/">',
    ],
)
def test_what_is_in_the_site_or_left_to_a_click_is_allowed(check: Check, body: str) -> None:
    assert check(body) == (0, [])


@pytest.mark.parametrize(
    ("address", "fault"),
    [
        ("guides/missing.html", "leads nowhere"),
        ("../outside.html", "leads nowhere"),
        ("guides/other.html#missing", "leads to no part of other.html"),
        ("#missing", "leads to no part of index.html"),
    ],
)
def test_a_link_that_leads_nowhere_is_found(check: Check, address: str, fault: str) -> None:
    assert check(f'<a href="{address}">there</a>') == (1, [f"index.html:1: {address} {fault}"])


def test_a_directory_without_pages_is_not_a_site(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (1, f"{tmp_path} has no pages\n")
