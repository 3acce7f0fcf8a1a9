"""The OpenAPI document against a hub that serves it: Schemathesis finds no answer that it does not document."""

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hub.app import create_app
from hub.testing.patience import PATIENCE_SECONDS
from tests.api_support import ADMIN_KEY, ORDER, settings_for
from tests.plain_http import NO_TLS
from tests.redis_servers import RedisServer

ROOT = Path(__file__).parents[2]
HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SENDING = ("webhook", "slack", "email", "line", "apprise")
HOOK = {"url": "http://127.0.0.1:9/hooks"}
ENDLESS = "/v1/stream"

document = create_app(settings_for(ROOT)).openapi()
schema = schemathesis.openapi.from_dict(document).exclude(path=ENDLESS)


PER_ITEM = ("/v1/events", "/v1/events/batch", "/v1/orders/{order_id}/events", "/v1/users/{user_id}/events")
"""A batch is accepted with the bad items in it: each has a verdict of its own. It is documented for one of them."""


@pytest.fixture(scope="module")
def hub(server: RedisServer | None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a hub that serves in a thread of its own, with one of everything."""
    store = {} if server is None else {"store_url": server.url()}
    app = create_app(settings_for(tmp_path_factory.mktemp("hub"), **store))
    web = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="on"))
    serving = threading.Thread(target=web.run)
    serving.start()
    while not web.started and serving.is_alive():
        serving.join(0.01)
    url = f"http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}"
    yield url
    web.should_exit = True
    serving.join()


@pytest.fixture
def known(hub: str) -> dict[str, str]:
    """Path parameters that name something there is."""
    spec = {"name": "all", "event_types": ["*"], "channel": "webhook", "target": HOOK, "enabled": False}
    with httpx.Client(base_url=hub, headers=HEADERS, timeout=PATIENCE_SECONDS, verify=NO_TLS) as client:
        subscription_id = client.post("/v1/subscriptions", json=spec).json()["id"]
        event = client.post("/v1/events", json={"type": "order.created", "data": ORDER}).json()
        (delivery,) = client.get("/v1/deliveries", params={"subscription_id": subscription_id}).json()["items"]
        key = client.post("/v1/keys", json={"name": "x", "scopes": ["read"]}).json()
        source = client.post("/v1/sources", json={"name": "x", "scheme": "github", "secret": "x" * 8}).json()
    return {
        "subscription_id": subscription_id,
        "event_id": event["id"],
        "delivery_id": delivery["id"],
        "key_id": key["id"],
        "source_id": source["id"],
        "type": event["type"],
        "order_id": "1001",
        "user_id": "u-42",
    }


def is_bad_in_body_alone(case: schemathesis.Case[Any]) -> bool:
    """Whether only the body is against the schema: keys and paths are mended before the request is sent."""
    parts = case.meta.components if case.meta else {}
    return [place for place, part in parts.items() if part.mode.is_negative] == [ParameterLocation.BODY]


@schema.parametrize()
@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
def test_every_answer_is_documented(case: schemathesis.Case[Any], hub: str, known: dict[str, str]) -> None:
    if isinstance(case.body, dict) and case.body.get("channel") in SENDING:
        case.body = {**case.body, "channel": "file"}
    if case.path_parameters and sum(map(ord, str(case.path_parameters))) % 2:
        case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
    if isinstance(case.body, list) and case.path in PER_ITEM and not case.path.endswith("/batch"):
        case.body = {"items": case.body}
    also = [negative_data_rejection] if is_bad_in_body_alone(case) and case.path not in PER_ITEM else []
    case.call_and_validate(base_url=hub, headers=HEADERS, checks=[*CHECKS, *also])


def test_the_document_refers_only_to_what_it_holds() -> None:
    referred = set(re.findall(r'"#/components/schemas/(\w+)', json.dumps(document)))
    assert referred <= document["components"]["schemas"].keys()


def examples() -> Iterator[tuple[str, str, str, Any]]:
    """Every documented example of a request body: method, path, media type, body."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
                named = [example["value"] for example in content.get("examples", {}).values()]
                for body in [*named, *([content["example"]] if "example" in content else [])]:
                    yield method, path, media_type, body


@pytest.mark.parametrize(("method", "path", "media_type", "body"), [*examples()])
def test_every_example_works(
    hub: str, known: dict[str, str], method: str, path: str, media_type: str, body: Any
) -> None:
    if isinstance(body, dict) and body.get("channel") in SENDING:
        body = {**body, "enabled": False}
    content = body if isinstance(body, str) else json.dumps(body)
    headers = {**HEADERS, "content-type": media_type}
    with httpx.Client(base_url=hub, headers=headers, timeout=PATIENCE_SECONDS, verify=NO_TLS) as client:
        answer = client.request(method, path.format(**known), content=content)
    assert answer.is_success, answer.text
    assert '"rejected"' not in answer.text


def test_every_route_needs_a_key_but_those_of_health(hub: str) -> None:
    with httpx.Client(base_url=hub, timeout=PATIENCE_SECONDS, verify=NO_TLS) as client:
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                answers = set(operation["responses"])
                assert ("security" in operation) == ("401" in answers), (method, path)
                if "security" in operation and path != ENDLESS:
                    assert client.request(method, path).status_code == 401, (method, path)
