"""What is in `deploy/` fits the hub: the metrics that the dashboard and the alerts name are there."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.testing.patience import PATIENCE_SECONDS
from tests.api_support import open_api, settings_for
from tests.conftest import PROMTOOL

DEPLOY = Path(__file__).parents[1] / "deploy"
ALERTS = DEPLOY / "prometheus/alerts.yml"
DASHBOARD = DEPLOY / "grafana/notification-hub.json"


@pytest.fixture
async def exposition(tmp_path: Path) -> str:
    """The metrics of a hub that has published an event and delivered it."""
    async with open_api(settings_for(tmp_path)) as api:
        await api.subscribe()
        await api.publish()
        await api.deliveries("delivered")
        return (await api.client(None).get("/metrics")).text


def named(text: str) -> set[str]:
    """The metrics of the hub in expressions of Prometheus."""
    return set(re.findall(r"\b(?:hub|process)_[a-z_]+\b", text))


def existing(exposition: str) -> Iterator[str]:
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", exposition, re.MULTILINE):
        yield name
        if kind == "histogram":
            yield from (f"{name}{part}" for part in ("_bucket", "_sum", "_count"))


def expressions(dashboard: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


async def test_every_metric_that_an_alert_or_a_panel_names_exists(exposition: str) -> None:
    alerts = named(" ".join(re.findall(r"expr: (?:>-\s+)?(.*)", ALERTS.read_text())))
    panels = named(" ".join(expressions(json.loads(DASHBOARD.read_text()))))
    assert len(alerts) > 5
    assert len(panels) > 10
    assert (alerts | panels) - {*existing(exposition)} == set()


def test_the_dashboard_has_panels_of_its_own_ids_on_the_chosen_source() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for panel in dashboard["panels"]:
        assert panel["datasource"]["uid"] == "${source}"
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    assert all('job="$job"' in expression for expression in expressions(dashboard))


def promtool(*arguments: str, given: str = "") -> str:
    done = subprocess.run(
        [PROMTOOL, *arguments],
        cwd=ALERTS.parent,
        input=given,
        text=True,
        capture_output=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.promtool
def test_promtool_takes_the_alerts_and_they_fire_when_they_should() -> None:
    promtool("check", "rules", ALERTS.name)
    promtool("test", "rules", "alerts_test.yml")


@pytest.mark.promtool
async def test_promtool_takes_the_exposition_without_a_remark(exposition: str) -> None:
    assert promtool("check", "metrics", given=exposition) == ""


@pytest.mark.promtool
def test_promtool_can_read_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    filled = [
        one.replace("$__rate_interval", "5m").replace("$job", "hub")
        for one in expressions(json.loads(DASHBOARD.read_text()))
    ]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(filled)]
    written = tmp_path / "rules.yml"
    # JSON is YAML too.
    written.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    promtool("check", "rules", str(written))
