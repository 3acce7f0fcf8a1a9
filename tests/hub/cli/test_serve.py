"""`hub serve`, and the client commands against it, each in a process of its own."""

import json
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.plain_http import NO_TLS
from tests.serving import HUB, ServedHub, serving, surroundings

ORDER = {
    "order_id": "o-1",
    "total": "42.50",
    "currency": "EUR",
    "customer": {"email": "ada@example.com"},
    "items": [{"sku": "tea", "quantity": 2, "unit_price": "21.25"}],
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    with serving(tmp_path_factory.mktemp("hub"), HUB_SMTP_ULR="smtp://mail") as served:
        yield served


def run(hub: ServedHub, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A client command beside the hub, where it finds the admin key by itself."""
    return subprocess.run(
        [HUB, *arguments],
        cwd=hub.data_dir.parent,
        env=surroundings(HUB_URL=hub.url),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def test_the_first_start_keeps_the_key_private_and_out_of_the_log(hub: ServedHub) -> None:
    assert hub.key not in "".join(hub.lines)
    assert any(str(Path("var/admin.key")) in line for line in hub.lines)
    assert stat.S_IMODE((hub.data_dir / "admin.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(hub.data_dir.stat().st_mode) == 0o700


def test_a_misspelt_setting_is_told_at_the_start(hub: ServedHub) -> None:
    (told,) = [json.loads(line) for line in hub.lines if "setting.unknown" in line]
    assert (told["level"], told["name"], told["did_you_mean"]) == ("warning", "HUB_SMTP_ULR", "HUB_SMTP_URL")


def test_a_terminal_is_shown_the_key_at_the_first_start(tmp_path: Path) -> None:
    terminal, end = os.openpty()
    process = subprocess.Popen([HUB, "serve", "--port", "0"], cwd=tmp_path, env=surroundings(), stderr=end)
    os.close(end)
    shown = b""
    try:
        while b"stop it with" not in shown:
            shown += os.read(terminal, 4096)
    finally:
        process.kill()
        process.wait(PATIENCE_SECONDS)
        os.close(terminal)
    assert (tmp_path / "var" / "admin.key").read_text().strip().encode() in shown


def test_an_event_is_published_delivered_and_watched(hub: ServedHub) -> None:
    spec = {"name": "log", "event_types": ["order.*"], "channel": "file", "target": {"name": "orders"}}
    headers = {"Authorization": f"Bearer {hub.key}"}
    made = httpx.post(
        f"{hub.url}/v1/subscriptions", json=spec, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS
    )
    assert made.status_code == 201

    published = run(hub, "publish", "order.created", "--data", "-", "--json", stdin=json.dumps(ORDER))
    assert (published.returncode, published.stderr) == (0, "")
    event_id = json.loads(published.stdout)["id"]

    watched = run(hub, "tail", "--event-id", event_id, "--since", "earliest", "--count", "3", "--json")
    assert (watched.returncode, watched.stderr) == (0, "")
    entries = [json.loads(line) for line in watched.stdout.splitlines()]
    assert [entry["event"] for entry in entries] == ["event.accepted", "delivery.attempted", "delivery.delivered"]
    (line,) = (hub.data_dir / "files" / "default" / "orders.jsonl").read_text().splitlines()
    assert json.loads(line)["data"] == ORDER

    delivery_id = entries[-1]["data"]["id"]
    replayed = run(hub, "replay", delivery_id)
    assert (replayed.returncode, delivery_id in replayed.stdout) == (0, True)
    again = run(hub, "tail", "--event-id", event_id, "--since", entries[-1]["id"], "--count", "2")
    assert re.search(
        rf"delivery\.attempted .*order\.created  {delivery_id} → log \(file, sub_\S+\)  attempt 2", again.stdout
    )


def test_a_key_can_be_made_used_and_revoked(hub: ServedHub) -> None:
    key = run(hub, "keys", "create", "reader", "--scope", "read").stdout.strip()
    listed = json.loads(run(hub, "keys", "list", "--json").stdout)["items"]
    (key_id,) = [item["id"] for item in listed if item["name"] == "reader"]
    assert key_id in run(hub, "keys", "list").stdout

    forbidden = run(hub, "publish", "x", "--data", "1", "--key", key)
    assert (forbidden.returncode, forbidden.stderr.endswith("[403]\n")) == (1, True)
    assert run(hub, "keys", "revoke", key_id).returncode == 0
    unknown = run(hub, "tail", "--count", "1", "--key", key)
    assert (unknown.returncode, unknown.stderr.endswith("[401]\n")) == (1, True)


def test_an_event_against_its_schema_is_refused_with_the_place(hub: ServedHub) -> None:
    refused = run(hub, "publish", "order.created", "--data", '{"order_id": "o-1", "total": 1.5}')
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "/data/total: " in refused.stderr


def test_the_doctor_finds_a_fresh_hub_healthy(hub: ServedHub) -> None:
    examined = run(hub, "doctor", "--json")
    findings = json.loads(examined.stdout)["findings"]
    assert [finding for finding in findings if finding["state"] == "failed"] == []
    assert {"database", "disk", "alive", "ready", "version", "key"} <= {finding["check"] for finding in findings}
    assert examined.returncode == 0


def test_a_sandbox_says_what_it_is_and_what_would_not_work_without_it_is_said_at_the_start(tmp_path: Path) -> None:
    with serving(tmp_path, HUB_SANDBOX="true\n", HUB_LOG_FORMAT="json") as sandbox:
        assert any("Sandbox: nothing is sent" in line for line in sandbox.lines)
        warned = [json.loads(line) for line in sandbox.lines if "process.warned" in line]
        assert ["HUB_SANDBOX is set" in line["warning"] for line in warned] == [True]
        found = json.loads(run(sandbox, "doctor", "--json").stdout)["findings"]
        assert [finding["state"] for finding in found if finding["check"] == "ready"] == ["warning"]


def test_a_taken_port_is_one_clear_line(hub: ServedHub, tmp_path: Path) -> None:
    port = hub.url.rsplit(":", 1)[1]
    second = subprocess.run(
        [HUB, "serve", "--port", port], cwd=tmp_path, env=surroundings(), capture_output=True, text=True, check=False
    )
    complaint = f"hub: Cannot listen on 127.0.0.1:{port}: Address already in use; choose another --port or HUB_PORT.\n"
    assert (second.returncode, second.stdout, second.stderr) == (1, "", complaint)


@pytest.mark.parametrize("command", [["serve"], ["doctor"], ["backup", "copy"], ["store", "compact"]])
def test_a_directory_that_cannot_be_looked_at_is_named_in_one_line(command: list[str], tmp_path: Path) -> None:
    # As one that another user owns; but nothing is closed to root, who may be running the tests.
    unusable = "x" * 300
    refused = subprocess.run(
        [HUB, *command],
        cwd=tmp_path,
        env=surroundings(HUB_DATA_DIR=unusable, HUB_PORT="0"),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    said = refused.stdout + refused.stderr
    assert (refused.returncode, "Traceback" in said) == (1, False)
    assert "File name too long" in " ".join(said.split())


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"HUB_PORT": "many"}, "HUB_PORT: "),
        ({"HUB_RESEND_API_KEY": "a\nb"}, "A setting is wrong: HUB_RESEND_API_KEY contains a line break"),
        ({"HUB_ADMIN_KEY": "too-short"}, "HUB_ADMIN_KEY: must have at least 32 characters"),
        ({"HUB_ADMIN_KEY": ""}, "HUB_ADMIN_KEY: must have at least 32 characters"),
        ({"HUB_SECRET_KEY": " \n"}, "HUB_SECRET_KEY: must have at least 32 characters"),
        ({"HUB_ALLOW_PRIVATE_TARGETS": "local"}, "HUB_ALLOW_PRIVATE_TARGETS: must be a network, such as 10.0.0.0/8."),
        ({"HUB_LOG_LEVEL": "loud"}, "HUB_LOG_LEVEL: must be 'debug', 'info', "),
        ({"HUB_ROOT_PATH": "hub"}, "HUB_ROOT_PATH: must be a path such as /hub."),
        ({"HUB_CONFIG": "/nowhere/hub.toml"}, "HUB_CONFIG names /nowhere/hub.toml, and there is no such file."),
        ({"HUB_HOST": "nowhere.invalid"}, "; correct HUB_HOST or --host."),
        ({"HUB_STORE_URL": "mongo://here"}, "HUB_STORE_URL, must start with one of: sqlite://"),
        ({"HUB_DATA_DIR": "/dev/null"}, "cannot start"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(settings: dict[str, str], complaint: str, tmp_path: Path) -> None:
    failed = subprocess.run(
        [HUB, "serve"],
        cwd=tmp_path,
        env=surroundings(**{"HUB_PORT": "0", **settings}),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    last = failed.stderr.splitlines()[-1]
    assert failed.returncode != 0
    assert last.startswith("hub: ")
    assert complaint in last
    assert "Traceback" not in failed.stderr
    assert "too-short" not in failed.stderr


@pytest.mark.parametrize("name", ["admin.key", "secret.key"])
def test_a_blank_key_file_is_one_clear_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / name).write_text("\ufeff\n")
    failed = subprocess.run(
        [HUB, "serve", "--port", "0"],
        cwd=tmp_path, env=surroundings(), capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    assert failed.returncode == 1
    assert f"hub: The key in var/{name} is blank" in failed.stderr.splitlines()[-1]


def test_a_damaged_database_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "hub.db").write_bytes(b"\xa5" * 65_536)
    failed = subprocess.run(
        [HUB, "serve", "--port", "0"],
        cwd=tmp_path,
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("hub: ")
    assert "Traceback" not in failed.stderr


def test_a_hub_that_is_interrupted_says_nothing_more(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        served.stop(2)
    assert served.process.returncode in {130, -2}
    assert "Traceback" not in "".join(served.lines)
