"""The session of the README works as it stands there, on a fresh hub."""

import re
import subprocess
from pathlib import Path

from hub.testing.patience import PATIENCE_SECONDS
from tests.redis_servers import RedisServer
from tests.serving import HUB, kept_on, serving, surroundings

README = Path(__file__).parents[2] / "README.md"


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
