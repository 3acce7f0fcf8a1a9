"""The OpenAPI document, completed with what FastAPI cannot see."""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from hub.api import publishing
from hub.api.access import SENDERS
from hub.api.problems import Problem, problems
from hub.api.publishing import AcceptedBatch, AcceptedEvent
from hub.publishing.event import NewEvent

_READ_ONLY = {"get", "head", "options"}
_MODELS: list[tuple[type[BaseModel], JsonSchemaMode]] = [
    (NewEvent, "validation"),
    (AcceptedEvent, "serialization"),
    (AcceptedBatch, "serialization"),
    (Problem, "serialization"),
]


def install(app: FastAPI) -> None:
    """Add the models that routes only refer to, the ways in which senders may send a key, and the answers of the limit
    on bodies, which stands before them."""
    generate = app.openapi

    def complete() -> dict[str, Any]:
        document = generate()
        _, named = models_json_schema(_MODELS, ref_template="#/components/schemas/{model}")
        document["components"]["schemas"] |= named["$defs"]
        for operations in document["paths"].values():
            for method, operation in operations.items():
                if operation.get("tags") == publishing.router.tags:
                    document["components"]["securitySchemes"] |= SENDERS
                    operation["security"] = [{"key": []}, *({scheme: []} for scheme in SENDERS)]
                if method not in _READ_ONLY:
                    added = {str(status): answer for status, answer in problems(400, 413).items()}
                    operation["responses"] = dict(sorted((added | operation["responses"]).items()))
        return document

    app.openapi = complete  # type: ignore[method-assign] # FastAPI's way to extend it
