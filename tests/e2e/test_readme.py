"""The session of the README works as it stands there, on a fresh hub."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.redis_servers import RedisServer
from tests.serving import HUB, kept_on, serving, surroundings

README = Path(__file__).parents[2] / "README.md"


STAND_IN = f"""#!{sys.executable}
import sys, httpx
_, _, url, _, header, _, body = sys.argv
headers = dict([header.split(": ", 1)], **{{"Content-Type": "application/json"}})
print(httpx.post(url, content=body, headers=headers, timeout=40).raise_for_status().text)
"""
"""Takes `-sS URL -H HEADER --json BODY`, for machines without curl, such as a bare Debian."""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where commands are looked for."""
    if shutil.which("curl"):
        return os.environ["PATH"]
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "curl").write_text(STAND_IN)
    (tmp_path / "bin" / "curl").chmod(0o755)
    return f"{tmp_path / 'bin'}:{os.environ['PATH']}"


def session() -> str:
    """The commands under "First event", with the hub's address and command left to the caller."""
    section = README.read_text().split("## First event")[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return block[1]


def test_the_first_event_of_the_readme_arrives(server: RedisServer | None, tmp_path: Path, path: str) -> None:
    with serving(tmp_path, **kept_on(server)) as hub:
        script = session().replace("http://127.0.0.1:8000", hub.url).replace(".venv/bin/hub", str(HUB))
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env=surroundings(HUB_URL=hub.url, PATH=path),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    assert (ran.returncode, ran.stderr) == (0, "")
    for shown in (
        '"status":"accepted"',
        "event.accepted",
        "delivery.attempted",
        "delivery.delivered",
        '"order_id": "o-1001"',
    ):
        assert shown in ran.stdout
