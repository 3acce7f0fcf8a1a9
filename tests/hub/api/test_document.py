"""The OpenAPI document has what the framework cannot see: referred models, and the answers of the limit on bodies."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hub.api.document import install
from hub.app import create_app
from tests.api_support import settings_for

PROBLEM = "#/components/schemas/Problem"


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory: Path = tmp_path_factory.mktemp("hub")
    return create_app(settings_for(directory)).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_operation_has_a_plain_name_of_its_own(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(ids) == len(set(ids))
    assert [name for name in ids if not re.fullmatch(r"[a-z]+([A-Z][a-z]+)+", name)] == []
    assert {"publishEvent", "publishEvents", "publishOrderEvent", "publishUserEvent", "listEvents"} <= set(ids)
    assert {"createSubscription", "getSubscription", "updateSubscription"} <= set(ids)


def test_schemas_have_plain_names_each_is_used_and_none_stands_for_a_mode(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert [name for name in schemas if not re.fullmatch(r"[A-Z][A-Za-z]+", name)] == []
    assert [
        name for name in schemas if name.endswith(("Input", "Output", "View", "Spec")) and name != "EventTypeSpec"
    ] == []
    assert {place.removeprefix("#/components/schemas/") for place in references(document)} - {"/"} >= set(schemas)
    assert {schema["title"] for schema in schemas.values()} == set(schemas)


def test_each_media_type_of_a_request_has_one_schema_with_a_name(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if operation["operationId"] == "receiveSourceEvent":
            # What senders of others send, and no client is generated for it.
            continue
        for content in operation.get("requestBody", {}).get("content", {}).values():
            schema = content["schema"]
            named = schema["items"] if schema.get("type") == "array" else schema
            optional = [one for one in named.get("anyOf", [named]) if one != {"type": "null"}]
            assert [[*one] for one in optional] == [["$ref"]], (path, method)


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/v1/events", {"$ref": "#/components/schemas/NewEvent"}),
        ("/v1/orders/{order_id}/events", {"$ref": "#/components/schemas/NewEvent"}),
        ("/v1/events/batch", {"type": "array", "items": {"$ref": "#/components/schemas/NewEvent"}, "minItems": 1}),
    ],
)
def test_one_event_and_a_batch_are_documented_apart(
    document: dict[str, Any], path: str, schema: dict[str, Any]
) -> None:
    operation = document["paths"][path]["post"]
    assert operation["requestBody"]["content"]["application/json"]["schema"] == schema
    answer = operation["responses"]["202"]["content"]["application/json"]["schema"]["$ref"]
    assert answer.endswith("AcceptedBatch" if path.endswith("batch") else "AcceptedEvent")


def test_a_patch_has_one_media_type_and_a_schema_of_its_own(document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/subscriptions/{subscription_id}"]["patch"]["requestBody"]["content"]
    assert {media: one["schema"] for media, one in content.items()} == {
        "application/json": {"$ref": "#/components/schemas/SubscriptionPatch"}
    }


def test_what_may_be_left_out_of_a_request_is_neither_required_nor_has_a_default(document: dict[str, Any]) -> None:
    """A member with a default has to be sent, as openapi-typescript sees it."""
    event = document["components"]["schemas"]["NewEvent"]
    assert event["required"] == ["type", "data"]
    assert event["properties"]["source"]["description"] == 'Default: `"urn:notification-hub"`.'
    sent = ("NewEvent", "NewWebhookSubscription", "WebhookTarget", "NewKey", "EventTypeSpec", "SubscriptionPatch")
    for name in sent:
        assert not any("default" in one for one in document["components"]["schemas"][name]["properties"].values()), name


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, answer in operation["responses"].items():
            if status >= "400" and path != "/readyz":
                content = answer["content"]
                assert content == {"application/problem+json": {"schema": {"$ref": PROBLEM}}}, (path, method, status)


def test_what_a_webhook_receives_is_documented(document: dict[str, Any]) -> None:
    received = document["webhooks"]["event"]["post"]
    headers = {one["name"] for one in received["parameters"] if one["required"]}
    assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    assert set(received["requestBody"]["content"]) == {"application/json", "application/cloudevents+json"}


def references(value: Any) -> set[str]:
    match value:
        case {"$ref": str(place)}:
            return {place}
        case dict():
            return {place for inner in value.values() for place in references(inner)}
        case list():
            return {place for inner in value for place in references(inner)}
        case _:
            return set()


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = references(document)
    assert found
    for place in found:
        value = document
        for step in place.removeprefix("#/").split("/"):
            value = value[step]


def test_every_route_that_takes_a_body_may_answer_400_and_413_and_the_others_do_not_say_so(
    document: dict[str, Any],
) -> None:
    for operations in document["paths"].values():
        for method, operation in operations.items():
            assert ("413" in operation["responses"]) is (method != "get")
            assert list(operation["responses"]) == sorted(operation["responses"])


def test_completing_it_again_changes_nothing(tmp_path: Path) -> None:
    app = create_app(settings_for(tmp_path))
    once = app.openapi()
    install(app)
    assert app.openapi() == once
