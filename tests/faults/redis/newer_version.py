"""A newer version of the hub, as processes of their own: this tree with a member more on every stored thing, and with a
channel, a feed kind, a scope, a cause and a kind of record more. It is made as docs/architecture.md says how to add."""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.faults.hub import Hub
from tests.faults.hub_process import COMMAND, ROOT, HubProcess

ZONE: Final = "eu-1"
TOKEN: Final = "token-of-a-newer-version"
_ZONE: Final = f'    zone: str = "{ZONE}"\n'
_EDITS: Final[Mapping[str, Sequence[tuple[str, str]]]] = {
    "hub/models.py": (
        ("    cancelled_at: datetime | None = None\n", "    cancelled_at: datetime | None = None\n" + _ZONE),
        ("    response_body: str | None = None\n", "    response_body: str | None = None\n" + _ZONE),
        ("    status: str | None = None\n", "    status: str | None = None\n" + _ZONE),
        ("    error: str | None = None\n    created_at", _ZONE + "    error: str | None = None\n    created_at"),
        ('    TASK_UPDATED = "task.updated"\n', '    TASK_UPDATED = "task.updated"\n    NOTED = "delivery.noted"\n'),
        ('    REPLAY = "replay"\n', '    REPLAY = "replay"\n    DIGEST = "digest"\n'),
        ('    ADMIN = "admin"\n', '    ADMIN = "admin"\n    KEYS = "keys"\n'),
    ),
    "hub/stores/stored.py": (
        ("    data: str\n\n\nclass StoredAttempt", f"    data: str\n{_ZONE}\n\nclass StoredAttempt"),
        ("    response_body: str | None\n", "    response_body: str | None\n" + _ZONE),
        ("    status: str | None\n", "    status: str | None\n" + _ZONE),
    ),
    "hub/stores/redis/lua/lib/new_delivery.lua": (("'st', 'pending',", f"'st', 'pending', 'zone', '{ZONE}',"),),
    "hub/stores/redis/lua/accept.lua": (("given[5], duplicates })", f"given[5], duplicates, '{ZONE}' }})"),),
    "hub/stores/redis/lua/lib/signals.lua": (
        (
            "  local id = string.format",
            "  fields[#fields + 1], fields[#fields + 2] = 'zones', '1'\n  local id = string.format",
        ),
    ),
    "hub/catalogue/catalogue.py": (("    fingerprint: str\n", "    fingerprint: str\n" + _ZONE),),
    "hub/catalogue/subscriptions/model.py": (
        (
            "    enabled: bool = Field(default=True, strict=True)\n",
            "    enabled: bool = Field(default=True, strict=True)\n" + _ZONE,
        ),
        ("class SubscriptionSpec(", "    burst: int = 3\n\n\nclass SubscriptionSpec("),
    ),
    "hub/catalogue/event_types/model.py": (("    built_in: bool = False\n", "    built_in: bool = False\n" + _ZONE),),
    "hub/catalogue/sources/model.py": (("    options: dict", _ZONE + "    options: dict"),),
    "hub/catalogue/keys/model.py": (
        ("    name: str\n    created_at", "    name: str\n" + _ZONE + "    created_at"),
        ("    hash: str", _ZONE + "    hash: str"),
    ),
    "hub/catalogue/keys/service.py": (
        ("tenant.written())], []", 'tenant.written()), Record("quota", tenant.id, "events", b"{}")], []'),
    ),
    "hub/stream/tickets.py": (
        ("    issued_at: datetime | None = None\n", "    issued_at: datetime | None = None\n" + _ZONE),
    ),
    "hub/maintenance/run_history.py": (("    token: int\n", "    token: int\n" + _ZONE),),
    "hub/dispatch/transitions.py": (
        ("        cause=claim.cause,\n        started_at", "        cause=Cause.DIGEST,\n        started_at"),
        (
            "        feed.append(entry(ENDINGS[delivery.status], delivery))\n",
            "        feed += [entry(ENDINGS[delivery.status], delivery), entry(FeedKind.NOTED, delivery)]\n",
        ),
    ),
    "channels/webhook.py": (
        (
            "    format: Literal[",
            f'{_ZONE}    token: SecretStr = SecretStr("{TOKEN}")\n    format: Literal[',
        ),
    ),
}
_CHANNEL: Final = """
from channels.webhook import WebhookChannel


class PagerChannel(WebhookChannel):
    kind = "pager"
"""


def newer_version(directory: Path) -> Path:
    """Make the tree of a newer version below a directory, and give its place."""
    tree = directory / "newer"
    for package in ("hub", "channels", "schedules"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for place, edits in _EDITS.items():
        text = (tree / place).read_text()
        for before, after in edits:
            assert text.count(before) == 1, f"{place} has not once: {before}"
            text = text.replace(before, after)
        (tree / place).write_text(text)
    (tree / "channels/pager.py").write_text(_CHANNEL)
    return tree


class NewerProcess(HubProcess):
    """A process of the newer version in `tree`. It is not forked: it has code of its own."""

    def __init__(self, hub: Hub, role: str, tree: Path) -> None:
        super().__init__(hub.directory, hub.settings, role, f"newer-{role}")
        self._tree = tree

    def _launch(self, failpoints: str, wrapper: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [*wrapper, COMMAND, self.role],
                cwd=self._directory,
                env={**self._environment(failpoints), "PYTHONPATH": str(self._tree)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
