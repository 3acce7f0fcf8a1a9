"""Is it alive, is it ready, and what does it count."""

import re
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.api_support import Api, open_api, settings_for


@pytest.mark.parametrize(("path", "status"), [("/livez", "ok"), ("/readyz", "ready")])
async def test_a_hub_that_works_says_so_to_anybody(api: Api, path: str, status: str) -> None:
    answer = await api.client(None).get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": status})


async def test_a_hub_that_stops_is_alive_but_not_ready(api: Api) -> None:
    api.process.begin_stop()
    answer = await api.client(None).get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {"status": "not_ready", "reasons": ["The hub is stopping."]}
    assert (await api.client(None).get("/livez")).status_code == 200


async def test_while_the_database_is_locked_nothing_is_accepted_and_the_hub_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.stores.sqlite.database.opening.BUSY_SECONDS", 0.05)
    async with open_api(settings_for(tmp_path)) as api:
        event = {"type": "stock.low", "data": 1}
        with closing(apsw.Connection(str(tmp_path / "var" / "hub.db"))) as intruder:
            intruder.execute("BEGIN IMMEDIATE")
            refused = await api.admin.post("/v1/events", json=event)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            not_ready = await api.admin.get("/readyz")
            assert not_ready.status_code == 503
            assert not_ready.json()["reasons"]
            assert (await api.admin.get("/v1/events")).json()["items"] == []
            intruder.execute("ROLLBACK")
        assert (await api.admin.post("/v1/events", json=event)).status_code == 202
        assert (await api.admin.get("/readyz")).status_code == 200


async def test_what_the_hub_counts_is_shown_to_prometheus(api: Api) -> None:
    await api.subscribe()
    await api.publish()
    await api.deliveries("delivered")
    answer = await api.client(None).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert 'hub_events_total{status="accepted"} 1.0' in answer.text
    assert 'hub_attempts_total{channel="file",outcome="succeeded"} 1.0' in answer.text
    open_metrics = await api.client(None).get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert open_metrics.text.endswith("# EOF\n")


async def test_the_exposition_has_counters_as_counters_and_no_series_of_creation(api: Api) -> None:
    await api.publish()
    for accept in ("text/plain", "application/openmetrics-text"):
        text = (await api.client(None).get("/metrics", headers={"accept": accept})).text
        assert "_created" not in text
        assert {*re.findall(r"^# TYPE (?:hub_\w+) (\w+)$", text, re.MULTILINE)} <= {
            "counter",
            "gauge",
            "histogram",
            "info",
        }
        for name in re.findall(r"^(hub_\w+_total)\b", text, re.MULTILINE):
            assert re.search(rf"^# TYPE {name.removesuffix('_total')}(_total)? counter$", text, re.MULTILINE), name
    text = api.process.core.metrics.render()[0].decode()
    assert re.search(r'^hub_build_info\{python="[\d.]+",version="[\w.]+"\} 1', text, re.MULTILINE)
