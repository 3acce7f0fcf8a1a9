"""A backup from the command line, of a hub that runs, restored and served again."""

import asyncio
import json
import subprocess
from pathlib import Path

import httpx

from hub.testing.patience import PATIENCE_SECONDS
from tests.api_support import open_api, settings_for
from tests.plain_http import NO_TLS
from tests.serving import HUB, ServedHub, serving, surroundings


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HUB, *arguments],
        cwd=directory, env=surroundings(), capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip


def call(hub: ServedHub, method: str, path: str, **members: object) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {hub.key}"}
    answer = httpx.request(
        method, hub.url + path, headers=headers, json=members or None, timeout=PATIENCE_SECONDS, verify=NO_TLS
    )
    found: dict[str, object] = answer.raise_for_status().json()
    return found


def test_a_running_hub_is_backed_up_and_goes_on_elsewhere(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    target = {"url": "https://example.com/hooks"}
    with serving(old) as hub:
        made = call(hub, "POST", "/v1/subscriptions", name="s", event_types=["x"], channel="webhook", target=target)
        event = call(hub, "POST", "/v1/events", type="stock.low", data={"sku": "A-1"})
        secret = call(hub, "GET", f"/v1/subscriptions/{made['id']}/secret")
        backed_up = run(old, "backup", "../backup", "--json")
        assert (backed_up.returncode, json.loads(backed_up.stdout)["files"].keys()) == (
            0, {"hub.db", "admin.key", "secret.key"}
        )  # fmt: skip
    restored = run(new, "restore", "../backup")
    assert (restored.returncode, restored.stderr) == (0, "")

    async def look() -> None:
        async with open_api(settings_for(new)) as api:
            assert (await api.admin.get(f"/v1/events/{event['id']}")).json()["data"] == {"sku": "A-1"}
            assert (await api.admin.get(f"/v1/subscriptions/{made['id']}/secret")).json() == secret

    asyncio.run(look())
    again = run(new, "restore", "../backup")
    assert (again.returncode, again.stderr.count("\n"), "empty place only" in again.stderr) == (1, 1, True)


def test_what_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    failed = run(tmp_path, "backup", "taken")
    assert (failed.returncode, failed.stderr) == (1, "hub: taken: File exists.\n")
