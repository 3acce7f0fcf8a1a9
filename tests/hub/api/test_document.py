"""The OpenAPI document has what the framework cannot see: referred models, and the answers of the limit on bodies."""

from pathlib import Path
from typing import Any

import pytest

from hub.api.document import install
from hub.app import create_app
from tests.api_support import settings_for


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory: Path = tmp_path_factory.mktemp("hub")
    return create_app(settings_for(directory)).openapi()


def test_models_that_routes_only_refer_to_are_in_it(document: dict[str, Any]) -> None:
    named = {"NewEvent", "AcceptedEvent", "AcceptedBatch", "Problem", "ProblemFault"}
    assert named <= set(document["components"]["schemas"])


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
