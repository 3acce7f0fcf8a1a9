"""What releases stored is here, and what a newer one stored is refused before anything in it is touched."""

from pathlib import Path

import apsw
import pytest

from tests.redis_servers import VALKEY
from tests.releases.opening import DATABASE, DUMP, PREFIX, RELEASES, SECRET_KEY, redis_with, run, sqlite_url

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


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name)
def test_a_redis_store_in_a_format_that_is_not_known_is_refused_in_one_line(release: Path, tmp_path: Path) -> None:
    with redis_with(release / DUMP, VALKEY, tmp_path / "server") as server:
        server.ask("HSET", f"{{{PREFIX}}}:meta", "format", NEWER)
        before = server.kept(PREFIX)
        settings = {"HUB_STORE_URL": server.url(PREFIX), "HUB_SECRET_KEY": SECRET_KEY, "HUB_LOG_LEVEL": "error"}
        refused = run(tmp_path, "serve", "--port", "0", **settings)
        after = server.kept(PREFIX)
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert "written by a newer version of the hub" in line
    assert "Install that version again, or restore the backup" in line
    assert after == before
