"""The official CloudEvents SDKs of Python and JavaScript publish in their default modes, and in the others."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from hub.testing.patience import PATIENCE_SECONDS
from tests.interop.conftest import Run
from tests.plain_http import NO_TLS
from tests.serving import ServedHub

pytestmark = pytest.mark.interop

ORDER = {"order_id": "1001", "total": "12.50", "customer": {"name": "Zoë 🍵"}}


def client(hub: ServedHub) -> httpx.Client:
    headers = {"Authorization": f"Bearer {hub.key}"}
    return httpx.Client(base_url=hub.url, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS, trust_env=False)


@pytest.mark.parametrize("mode", ["default", "BINARY", "STRUCTURED"])
def test_in_javascript(hub: ServedHub, settings: Mapping[str, str], typescript: Path, run: Run, mode: str) -> None:
    answers = json.loads(run("node", "cloudevents.mjs", mode, cwd=typescript, **settings))
    with client(hub) as api:
        shown = [api.get(f"/v1/events/{answer['id']}").json() for answer in answers]
    assert [answer["status"] for answer in answers] == ["accepted"] * 4
    assert [event["data"] for event in shown] == [ORDER, 'a "b" \n', "<a/>", "AP8="]
    assert [event["data_base64"] for event in shown] == [False, False, False, True]
    assert shown[0]["subject"] == "orders/1001"
    assert shown[0]["extensions"] == {"shopregionofthewholesale": "eu"}


@pytest.mark.parametrize("write", [to_binary_event, to_structured_event])
def test_in_python(hub: ServedHub, write: Any) -> None:
    event = CloudEvent({"source": "/python", "type": "order.created", "shopregionofthewholesale": "eu"}, ORDER)
    message: HTTPMessage = write(event)
    with client(hub) as api:
        accepted = api.post("/v1/events", content=message.body, headers=message.headers)
        assert accepted.status_code == 202, accepted.text
        shown = api.get(accepted.headers["location"]).json()
    assert shown["data"] == ORDER
    assert shown["extensions"] == {"shopregionofthewholesale": "eu"}
