"""What releases stored is here, and what a newer one stored is refused before anything in it is touched."""

from pathlib import Path

import apsw
import pytest

from tests.releases.opening import DATABASE, DUMP, RELEASES, run, sqlite_url

NEWER = 1_000


def test_what_releases_stored_is_here() -> None:
    assert {file.name for folder in RELEASES for file in folder.iterdir()} == {DATABASE, DUMP, "expected.json"}


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_file_with_a_schema_that_is_not_known_is_refused_in_one_line(release: Path, tmp_path: Path) -> None:
    url = sqlite_url(release / DATABASE, tmp_path)
    connection = apsw.Connection(str(tmp_path / DATABASE))
    connection.pragma("user_version", NEWER)
    connection.close()
    before = (tmp_path / DATABASE).read_bytes()
    refused = run(tmp_path, "serve", "--port", "0", HUB_STORE_URL=url, HUB_LOG_LEVEL="warning")
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert "written by a newer version of the hub" in line
    assert (tmp_path / DATABASE).read_bytes() == before
