"""Clients that were generated from `/openapi.json` publish, list in pages, subscribe and patch."""

import json
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.interop.conftest import PROGRAMS, Run
from tests.plain_http import NO_TLS
from tests.serving import ServedHub

pytestmark = pytest.mark.interop

SEEN = {
    "published": "accepted",
    "batch": ["accepted", "rejected"],
    "subject": "orders/o-2",
    "listed": ["order.paid", "order.paid", "order.created"],
    "patched": ["b", 3, None, "https://example.com/hooks"],
    "missing": "Not found",
}


@pytest.fixture
def document(hub: ServedHub, tmp_path: Path) -> Path:
    place = tmp_path / "openapi.json"
    place.write_bytes(httpx.get(f"{hub.url}/openapi.json", verify=NO_TLS, trust_env=False).content)
    return place


def test_a_python_client_has_every_operation_and_works(
    document: Path, tmp_path: Path, run: Run, settings: Mapping[str, str]
) -> None:
    said = run("openapi-python-client", "generate", "--path", str(document), "--output-path", "client", cwd=tmp_path)
    assert "WARNING" not in said, said
    place = str(tmp_path / "client")
    assert json.loads(run("python", str(PROGRAMS / "client.py"), cwd=tmp_path, PYTHONPATH=place, **settings)) == SEEN


def test_a_typescript_client_has_the_right_types_and_works(
    document: Path, typescript: Path, run: Run, settings: Mapping[str, str]
) -> None:
    modules = typescript / "node_modules"
    run("node", str(modules / "openapi-typescript/bin/cli.js"), str(document), "-o", "hub.d.ts", cwd=typescript)
    run("node", str(modules / "typescript/bin/tsc"), cwd=typescript)
    assert json.loads(run("node", "client.ts", cwd=typescript, **settings)) == SEEN


def test_a_go_client_has_the_right_types_and_works(
    document: Path, go: Path, run: Run, settings: Mapping[str, str]
) -> None:
    (go / "hub").mkdir()
    run("oapi-codegen", "-config", "oapi-codegen.yaml", str(document), cwd=go)
    run("go", "vet", "./client", cwd=go)
    assert json.loads(run("go", "run", "./client", cwd=go, **settings)) == SEEN
