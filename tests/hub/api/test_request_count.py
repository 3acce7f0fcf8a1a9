"""Requests are counted by the template of their route, so that nobody can add series at will."""

import re

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.api_support import Api

Counts = dict[tuple[str, str, str], float]


async def counts(api: Api) -> Counts:
    text = api.process.core.metrics.render()[0].decode()
    return {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "hub_http_requests_total"
    }


async def test_answers_count_by_method_route_and_status(api: Api) -> None:
    await api.publish()
    await api.admin.get("/v1/events/evt_1")
    await api.admin.get("/v1/events/evt_2")
    await api.admin.post("/v1/events", content=b"{")
    await api.client(None).get("/v1/keys")
    await api.client(None).head("/livez")
    assert await counts(api) == {
        ("POST", "/v1/events", "202"): 1,
        ("GET", "/v1/events/{event_id}", "404"): 2,
        ("POST", "/v1/events", "400"): 1,
        ("GET", "/v1/keys", "401"): 1,
        ("GET", "/livez", "200"): 1,
    }


async def test_what_no_route_takes_makes_one_series_each_of_paths_and_methods(api: Api) -> None:
    for path in ("/wp-login.php", "/.env", "/v1/nothing"):
        await api.client(None).get(path)
    await api.client(None).request("BREW", "/pot")
    await api.client(None).request("FROB", "/v1/events")
    assert await counts(api) == {("GET", "", "404"): 3, ("other", "", "404"): 1, ("other", "/v1/events", "405"): 1}


async def test_a_body_that_is_refused_before_its_route_is_found_counts_too(api: Api) -> None:
    await api.admin.post("/v1/events", content=b"x" * 300_000)
    assert await counts(api) == {("POST", "", "413"): 1}


async def test_an_error_that_nobody_foresaw_counts_as_500(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(api.services.deliveries, "stats", fail)
    assert (await api.admin.get("/v1/stats")).status_code == 500
    assert await counts(api) == {("GET", "/v1/stats", "500"): 1}


async def test_a_stream_counts_while_it_lasts(api: Api) -> None:
    await api.client(None).get("/v1/stream")
    await api.admin.head("/v1/stream")
    assert await counts(api) == {("GET", "/v1/stream", "401"): 1, ("GET", "/v1/stream", "200"): 1}


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
