"""Cut a release: `make release VERSION=1.2.3` sets the version, dates its section of the changelog, commits and tags.

It refuses a tree with changes, a version that is not later, a tag that exists, an empty section of unreleased changes,
and a version that is written anywhere but in `pyproject.toml`. Then nothing has been changed. It pushes nothing.
"""

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")
SETTINGS = "pyproject.toml"
CHANGELOG = "CHANGELOG.md"
_VERSION_LINE = re.compile(r'^version = "([^"]+)"$', re.MULTILINE)
_UNRELEASED = re.compile(r"^## \[Unreleased\]\n(?P<changes>.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_MAY_REPEAT = (SETTINGS, CHANGELOG, "*.lock")
"""Where the same digits are the version itself, its history, or another package's."""


class Refused(Exception):
    """The release cannot be cut; the text says why, and what to do."""


class Repository:
    """The clone that the release is cut in."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def git(self, *arguments: str) -> str:
        """What git prints. Raises `Refused` with what it says when it fails."""
        command = ["git", *arguments]
        ran = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)  # noqa: S603 - no shell
        if ran.returncode:
            raise Refused(f"git {arguments[0]} failed: {(ran.stderr or ran.stdout).strip()}")
        return ran.stdout

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def repetitions(self, version: str) -> list[str]:
        """The places, as `path:line`, where a tracked file has this version."""
        exact = re.compile(rf"(?<![\w.]){re.escape(version)}(?![\w.]*\d)")
        names = self.git("ls-files", "-z", "--", ".", *(f":!{name}" for name in _MAY_REPEAT)).split("\0")
        return [
            f"{name}:{number}"
            for name in filter(None, names)
            for number, line in enumerate((self.root / name).read_text(errors="replace").splitlines(), 1)
            if exact.search(line)
        ]


def release(repository: Repository, version: str, day: str) -> None:
    """Commit and tag this version. Raises `Refused`, and then leaves everything as it was."""
    settings, changelog = repository.read(SETTINGS), repository.read(CHANGELOG)
    current = _current(settings)
    _check_version(version, current)
    if repository.git("status", "--porcelain"):
        raise Refused("the tree has changes: commit or stash them first")
    if repository.git("tag", "--list", f"v{version}"):
        raise Refused(f"the tag v{version} exists")
    if places := repository.repetitions(current):
        raise Refused(f"{current} is written in {', '.join(places)}: read it from importlib.metadata there")
    changes = _changes(changelog)
    dated = f"## [Unreleased]\n\n## [{version}] - {day}\n\n{changes}\n\n"
    repository.write(SETTINGS, _VERSION_LINE.sub(f'version = "{version}"', settings, count=1))
    repository.write(CHANGELOG, _UNRELEASED.sub(lambda _: dated, changelog, count=1).rstrip() + "\n")
    try:
        repository.git("commit", "--quiet", "--message", f"Release {version}", "--", SETTINGS, CHANGELOG)
    except Refused:
        repository.write(SETTINGS, settings)
        repository.write(CHANGELOG, changelog)
        raise
    # Headings of the changelog begin with what git takes for a comment.
    note = f"Release {version}\n\n{changes}\n"
    repository.git("tag", "--annotate", "--cleanup=whitespace", "--message", note, f"v{version}")


def _current(settings: str) -> str:
    found = _VERSION_LINE.search(settings)
    if found is None:
        raise Refused(f"{SETTINGS} has no line `version = …`")
    return found[1]


def _check_version(version: str, current: str) -> None:
    new, old = VERSION.fullmatch(version), VERSION.fullmatch(current)
    if new is None or old is None:
        raise Refused(
            f"a version has three numbers, such as 1.2.3; this one is {version!r}, the present one {current!r}"
        )
    if tuple(map(int, new.groups())) <= tuple(map(int, old.groups())):
        raise Refused(f"{version} is not later than {current}, which {SETTINGS} has")


def _changes(changelog: str) -> str:
    """What is written under the heading of unreleased changes."""
    found = _UNRELEASED.search(changelog)
    changes = found["changes"].strip() if found else ""
    if all(not line.strip() or line.startswith("#") for line in changes.splitlines()):
        raise Refused(f"{CHANGELOG} has nothing under `## [Unreleased]`: say what is new")
    return changes


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("version", help="three numbers, such as 1.2.3")
    options.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="the clone to cut it in")
    options.add_argument("--date", default=time.strftime("%Y-%m-%d", time.gmtime()), help="day of the release, in UTC")
    given = options.parse_args()
    try:
        release(Repository(given.root), given.version, given.date)
    except Refused as reason:
        sys.stderr.write(f"No release: {reason}.\n")
        return 1
    sys.stdout.write(f"Committed and tagged v{given.version}. Next: make dist, then push the branch and the tag.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
