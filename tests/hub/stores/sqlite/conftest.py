"""What is tested here is the SQLite store alone, and how it reads."""

from pathlib import Path

import apsw
import pytest

from tests.hub.stores.conftest import OpenStore


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'hub.db'}"


@pytest.fixture
async def connection(opened: OpenStore, tmp_path: Path) -> apsw.Connection:
    await opened.open()
    await opened.close()
    return apsw.Connection(str(tmp_path / "hub.db"))
