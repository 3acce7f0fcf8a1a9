"""One hub for all examples, and in it a tenant for each test."""

from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import httpx
import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.plain_http import NO_TLS
from tests.serving import ServedHub, serving

LOOPBACK = "127.0.0.0/8"


class Tenant:
    """A tenant of a hub, with the keys that its programs are given. Each call must succeed."""

    def __init__(self, hub: ServedHub) -> None:
        self.url = hub.url
        self._name = f"t{token_hex(6)}"
        self._call(hub.key, "POST", "/v1/tenants", id=self._name, name=self._name)
        self._operator = hub.key
        self.manager = self.key("manage", "read", "events:write")

    def key(self, *scopes: str) -> str:
        """A new key with these scopes."""
        made = self._call(self._operator, "POST", "/v1/keys", name="example", scopes=list(scopes), tenant=self._name)
        return str(made["key"])

    def call(self, method: str, path: str, **body: Any) -> Any:
        return self._call(self.manager, method, path, **body)

    def _call(self, key: str, method: str, path: str, **body: Any) -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        answer = httpx.request(
            method,
            f"{self.url}{path}",
            json=body or None,
            headers=headers,
            timeout=PATIENCE_SECONDS,
            verify=NO_TLS,
            trust_env=False,
        )
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHub]:
    """A running hub that may send to this machine."""
    with serving(tmp_path_factory.mktemp("hub"), HUB_ALLOW_PRIVATE_TARGETS=LOOPBACK) as hub:
        yield hub


@pytest.fixture
def tenant(hub: ServedHub) -> Tenant:
    return Tenant(hub)
