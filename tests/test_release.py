"""A release is cut in a throw-away clone, and each thing that forbids one is seen to."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / ".ci" / "release.py"
NEXT = "77.0.1"
DAY = "2031-02-03"
UNRELEASED = "## [Unreleased]\n\n### Added\n\n- Something that people notice.\n"


class Clone:
    """A repository with the settings and the changelog of this tree, both committed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        shutil.copy(ROOT / "pyproject.toml", root)
        history = re.sub(
            r"\A.*?^## \[Unreleased\]\n.*?(?=^## |\Z)", "", self._changelog(), flags=re.DOTALL | re.MULTILINE
        )
        self.write("CHANGELOG.md", f"# Changelog\n\n{UNRELEASED}\n{history}")
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit()

    @staticmethod
    def _changelog() -> str:
        return (ROOT / "CHANGELOG.md").read_text()

    @property
    def version(self) -> str:
        return str(tomllib.loads(self.read("pyproject.toml"))["project"]["version"])

    @property
    def state(self) -> tuple[str, ...]:
        """All that a refused release must leave alone."""
        return (self.git("show-ref"), self.git("status", "--porcelain"), self.version, self.read("CHANGELOG.md"))

    def read(self, name: str) -> str:
        return (self.root / name).read_text()

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def git(self, *arguments: str) -> str:
        return self._run("git", *arguments).stdout

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Prepare")

    def release(self, version: str = NEXT) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, str(PROGRAM), version, "--root", str(self.root), "--date", DAY)
        return self._run(*command, check=False)

    def _run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        person = {
            f"GIT_{role}_{part}": "tester@example.com" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")
        }
        nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        env = {**{name: value for name, value in os.environ.items() if not name.startswith("GIT_")}, **person, **nobody}
        return subprocess.run(command, cwd=self.root, env=env, capture_output=True, text=True, check=check)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path)


def test_a_release_sets_the_version_dates_the_changes_and_is_tagged(clone: Clone) -> None:
    history = clone.read("CHANGELOG.md").partition("people notice.\n")[2].strip()
    released = clone.release()
    assert (released.returncode, released.stderr) == (0, "")
    assert clone.version == NEXT
    dated = f"## [Unreleased]\n\n## [{NEXT}] - {DAY}\n\n### Added\n\n- Something that people notice.\n"
    head, found, rest = clone.read("CHANGELOG.md").partition(dated)
    assert (head, found, rest.strip()) == ("# Changelog\n\n", dated, history)
    assert clone.git("status", "--porcelain") == ""
    assert clone.git("log", "-1", "--format=%s").strip() == f"Release {NEXT}"
    assert clone.git("rev-parse", f"v{NEXT}^{{commit}}") == clone.git("rev-parse", "HEAD")
    note = clone.git("tag", "--list", "--format=%(contents)", f"v{NEXT}")
    assert note.strip() == f"Release {NEXT}\n\n### Added\n\n- Something that people notice."
    assert clone.git("diff", "--name-only", "HEAD~1").split() == ["CHANGELOG.md", "pyproject.toml"]


def test_a_second_release_follows_the_first(clone: Clone) -> None:
    assert clone.release().returncode == 0
    assert "nothing under `## [Unreleased]`" in clone.release("77.1.0").stderr
    fresh = clone.read("CHANGELOG.md").replace("## [Unreleased]\n", "## [Unreleased]\n\n### Fixed\n\n- A fault.\n")
    clone.write("CHANGELOG.md", fresh)
    clone.commit()
    assert clone.release("77.1.0").returncode == 0
    headings = re.findall(r"^## .*$", clone.read("CHANGELOG.md"), re.MULTILINE)
    assert headings[:3] == ["## [Unreleased]", f"## [77.1.0] - {DAY}", f"## [{NEXT}] - {DAY}"]
    assert clone.git("tag").split() == [f"v{NEXT}", "v77.1.0"]


def refused(clone: Clone, why: str, version: str = NEXT) -> bool:
    """Whether a release is refused for this reason, and everything is as it was."""
    before = clone.state
    released = clone.release(version)
    return released.returncode == 1 and why in released.stderr and clone.state == before


def test_a_tree_with_changes_is_refused(clone: Clone) -> None:
    clone.write("notes.txt", "not committed\n")
    assert refused(clone, "the tree has changes")
    clone.commit()
    clone.write("notes.txt", "changed\n")
    assert refused(clone, "the tree has changes")


def test_a_tag_that_exists_is_refused(clone: Clone) -> None:
    clone.git("tag", f"v{NEXT}")
    assert refused(clone, f"the tag v{NEXT} exists")


@pytest.mark.parametrize("unreleased", ["", "## [Unreleased]\n", "## [Unreleased]\n\n### Added\n\n### Fixed\n"])
def test_a_changelog_without_unreleased_changes_is_refused(clone: Clone, unreleased: str) -> None:
    clone.write("CHANGELOG.md", clone.read("CHANGELOG.md").replace(UNRELEASED, unreleased))
    clone.commit()
    assert refused(clone, "nothing under `## [Unreleased]`")


@pytest.mark.parametrize("version", ["0.0.1", "77", "v77.0.1", "77.0.1rc1", "77.0.1\n"])
def test_a_version_that_is_not_a_later_one_is_refused(clone: Clone, version: str) -> None:
    assert refused(clone, "is not later than" if version == "0.0.1" else "three numbers", version)
    assert refused(clone, "is not later than", clone.version)


def test_a_version_that_is_written_twice_is_refused(clone: Clone) -> None:
    clone.write("other.lock", f"package=={clone.version}\n")
    clone.write("addresses.txt", f"10.{clone.version} and {clone.version}.7\n")
    clone.write("module.py", f'\n__version__ = "{clone.version}"\n')
    clone.commit()
    assert refused(clone, f"{clone.version} is written in module.py:2: ")


def test_a_commit_that_a_hook_refuses_leaves_everything_as_it_was(clone: Clone) -> None:
    hook = clone.root / ".git" / "hooks" / "pre-commit"
    hook.write_text("#!/bin/sh\necho 'lint failed' >&2\nexit 1\n")
    hook.chmod(0o755)
    assert refused(clone, "lint failed")
