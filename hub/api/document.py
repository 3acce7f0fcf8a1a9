"""The OpenAPI document, completed with what FastAPI cannot see, and with names for programs generated from it."""

import re
from collections.abc import Iterator
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from channels import load_channels
from hub.api import publishing
from hub.api.access import SENDERS
from hub.api.components import CLOUD_EVENT, REFERENCE, merge_patch, subscriptions
from hub.api.problems import Problem, problems
from hub.api.publishing import AcceptedBatch, AcceptedEvent
from hub.api.subscriptions import HealthView
from hub.api.webhooks import WEBHOOKS
from hub.catalogue.sources import SourceSpec
from hub.publishing.event import NewEvent

_READ_ONLY = {"get", "head", "options"}
_MODELS: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (NewEvent, "validation"),
    (AcceptedEvent, "serialization"),
    (AcceptedBatch, "serialization"),
    (HealthView, "serialization"),
    (Problem, "serialization"),
]
SHOWN_NAMES = {
    "ChannelNumbers": "ChannelStats",
    "DeliveryView": "Delivery",
    "EventView": "Event",
    "ExplanationView": "Explanation",
    "HealthView": "SubscriptionHealth",
    "KeyView": "Key",
    "Numbers": "Stats",
    "Replacement": "NewSubscription",
    "Rotation": "SecretRotation",
    "Secret": "SigningSecret",
    "SourceSpec": "NewSource",
    "SourceView": "Source",
    "SubscriptionDetail": "Subscription",
    "SubscriptionSpec": "NewSubscription",
    "SubscriptionView": "Subscription",
    "Ticket": "StreamTicket",
    "Trial": "TestResult",
}
"""Names of models as clients see them, where the hub's own name tells apart what is inside from what is shown."""


def install(app: FastAPI) -> None:
    """Have the app complete its document: plain operation ids, the models that routes only refer to, subscriptions by
    channel, webhooks, the ways in which senders may send a key, and the answers of the limit on bodies, which stands
    before the routes."""
    generate = app.openapi
    for route in app.routes:
        if isinstance(route, APIRoute):
            route.operation_id = _camel(route.name)

    def complete() -> dict[str, Any]:
        document = generate()
        if "webhooks" not in document:
            _complete(document)
        return document

    app.openapi = complete  # type: ignore[method-assign] # FastAPI's way to extend it


def _complete(document: dict[str, Any]) -> None:
    _, named = models_json_schema(_MODELS, ref_template=REFERENCE + "{model}")
    source = SourceSpec.model_json_schema(ref_template=REFERENCE + "{model}")
    own = {
        "CloudEvent": CLOUD_EVENT,
        "SourcePatch": merge_patch("SourcePatch", source),
        **subscriptions(load_channels()),
    }
    schemas = {**document["components"]["schemas"], **named["$defs"], **own}
    for operations in document["paths"].values():
        for method, operation in operations.items():
            if operation.get("tags") == publishing.router.tags:
                document["components"]["securitySchemes"] |= SENDERS
                operation["security"] = [{"key": []}, *({scheme: []} for scheme in SENDERS)]
            if method not in _READ_ONLY:
                added = {str(status): answer for status, answer in problems(400, 413).items()}
                operation["responses"] = dict(sorted((added | operation["responses"]).items()))
    document["webhooks"] = WEBHOOKS
    document["paths"] = _renamed(document["paths"])
    renamed = {
        (shown := SHOWN_NAMES.get(name, name)): {**_renamed(one), "title": shown} for name, one in schemas.items()
    }
    bodies = [operation.get("requestBody") for path in document["paths"].values() for operation in path.values()]
    for name in _reachable(bodies, renamed):
        _describe_defaults(renamed[name])
    used = _reachable({"paths": document["paths"], "webhooks": WEBHOOKS}, renamed)
    document["components"]["schemas"] = {name: renamed[name] for name in sorted(used)}


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda found: found[1].upper(), name)


def _renamed(value: Any) -> Any:
    match value:
        case {"$ref": str(place), **rest}:
            name = place.removeprefix(REFERENCE)
            return {"$ref": REFERENCE + SHOWN_NAMES.get(name, name), **rest}
        case dict():
            return {name: _renamed(inner) for name, inner in value.items()}
        case list():
            return [_renamed(inner) for inner in value]
        case _:
            return value


def _describe_defaults(schema: dict[str, Any]) -> None:
    """Say in words what is sent when a member of a request is left out: generators of TypeScript require each member
    that has a `default`."""
    for member in schema.get("properties", {}).values():
        default = member.pop("default", None)
        if default not in (None, [], {}):
            said = f"Default: `{orjson.dumps(default).decode()}`."
            member["description"] = f"{member.get('description', '')} {said}".strip()


def _reachable(value: Any, schemas: dict[str, Any]) -> set[str]:
    """The names of the schemas that are referred to, directly or through each other."""
    found: set[str] = set()
    new = set(_references(value))
    while new:
        found |= new
        new = {name for one in new for name in _references(schemas[one])} - found
    return found


def _references(value: Any) -> Iterator[str]:
    match value:
        case dict():
            if isinstance(place := value.get("$ref"), str):
                yield place.removeprefix(REFERENCE)
            for inner in value.values():
                yield from _references(inner)
        case list():
            for inner in value:
                yield from _references(inner)
