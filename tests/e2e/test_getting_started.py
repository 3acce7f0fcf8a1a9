"""The page "Getting started" works as it stands there, block after block, on a fresh hub."""

import re
import subprocess
from pathlib import Path

from hub.testing.patience import PATIENCE_SECONDS
from tests.redis_servers import free_port
from tests.serving import HUB, serving, surroundings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "getting-started.md"


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_every_block_of_the_page_runs_as_pasted(tmp_path: Path, path: str) -> None:
    start, *rest = blocks()
    assert start == "HUB_ALLOW_PRIVATE_TARGETS=127.0.0.0/8 make run\n"
    for name in ("examples", ".venv"):
        (tmp_path / name).symlink_to(ROOT / name if name == "examples" else HUB.parents[1])
    with serving(tmp_path, HUB_ALLOW_PRIVATE_TARGETS="127.0.0.0/8") as hub:
        port = str(free_port())
        # The receiver says when it listens; a person reads that before the next block, and a script has to wait for it.
        receiving = (
            f"python -m examples.receiver {port} >> receiver.log &\n"
            "until grep -qs Receiving receiver.log; do sleep 0.05; done"
        )
        # The page says to paste the block of the publish again.
        pasted = [block for block in rest for _ in range(2 if block.startswith("EVENT=") else 1)]
        script = "\n".join(pasted).replace("http://127.0.0.1:8000", hub.url).replace(":9000", f":{port}")
        script = script.replace("python -m examples.receiver &", receiving)
        # Without job control, because a terminal may give the second job the number of the first, which has ended.
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"trap 'kill $(jobs -p)' EXIT\n{script}"],
            cwd=tmp_path, env=surroundings(PATH=path), capture_output=True, text=True,
            timeout=2 * PATIENCE_SECONDS, check=False,
        )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert "verified: order.created evt_" in (tmp_path / "receiver.log").read_text()
    for shown in (
        "shop",
        "event.accepted",
        "delivery.attempted",
        "delivery.delivered",
        "is delivered",
        "connection was refused, next at ",
    ):
        assert shown in ran.stdout
    assert "accepted\n" in ran.stderr
    assert "a duplicate" in ran.stderr
