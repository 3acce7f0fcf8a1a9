"""The secret key is rotated and replaced from the command line, also where a hub was killed in the middle."""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hub.maintenance.secret_rotation import BATCH
from hub.testing.patience import PATIENCE_SECONDS
from tests.api_support import open_api, settings_for
from tests.hub.cli.commands import Hub
from tests.hub.telemetry.restored import restored_logging
from tests.plain_http import NO_TLS
from tests.redis_servers import wait_until
from tests.serving import HUB, ServedHub, serving, surroundings


def run(hub: ServedHub, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HUB, *arguments],
        cwd=hub.data_dir.parent, env=surroundings(HUB_URL=hub.url), capture_output=True, text=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip


def subscribe(hub: ServedHub, count: int) -> None:
    headers = {"Authorization": f"Bearer {hub.key}"}
    with httpx.Client(base_url=hub.url, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS) as client:
        for number in range(count):
            target = {"url": "https://example.com/hooks"}
            spec = {"name": str(number), "event_types": ["x"], "channel": "webhook", "target": target}
            assert client.post("/v1/subscriptions", json=spec).status_code == 201


def test_a_rotation_that_was_killed_is_gone_on_with_at_the_next_start(tmp_path: Path) -> None:
    with serving(tmp_path, HUB_FAILPOINTS="after_sealing:kill") as hub:
        subscribe(hub, BATCH + 5)
        old = (hub.data_dir / "secret.key").read_text()
        killed = run(hub, "secrets", "rotate")
        assert (killed.returncode, killed.stderr.count("\n"), hub.process.wait(PATIENCE_SECONDS)) == (1, 1, -9)
        draft = (hub.data_dir / "secret.key.next").read_text()
    with serving(tmp_path) as hub:
        wait_until(lambda: not (hub.data_dir / "secret.key.next").exists(), PATIENCE_SECONDS)
        assert (hub.data_dir / "secret.key").read_text() == draft != old
        rotated = run(hub, "secrets", "rotate", "--json")
        assert json.loads(rotated.stdout) == {"sealed": BATCH + 5, "unreadable": 0}


@pytest.fixture
def restored() -> Iterator[None]:
    """The command sets the logging of its process."""
    with restored_logging():
        yield


def test_a_lost_key_is_replaced_where_there_is_a_hub(
    hub: Hub, restored: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = hub("secrets", "adopt")
    assert (nothing.status, nothing.err.count("\n"), list(tmp_path.iterdir())) == (1, 1, [])

    async def subscribe_one() -> None:
        async with open_api(settings_for(tmp_path, secret_key="o" * 40)) as api:
            await api.subscribe(channel="webhook", target={"url": "https://example.com/hooks"})

    asyncio.run(subscribe_one())
    monkeypatch.setenv("HUB_SECRET_KEY", "n" * 40)
    adopted = hub("secrets", "adopt")
    assert (
        adopted.out == "1 of 1 subscriptions and sources have secrets to set again. Start the hub with `hub serve`.\n"
    )
