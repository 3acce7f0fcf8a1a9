"""Members of stored documents that only a newer version knows: kept beside what is read, and written back with it.

Documents have the form that `Sealer.seal_model` gives. See docs/decisions/0026.
"""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel

from hub.models import member_names

Document = Mapping[str, Any]


def split(document: Document, model: type[BaseModel]) -> tuple[Document, Document]:
    """What a model knows of a document, and the rest of it, which is empty for most. Raises `READ_ERRORS`.

    Example:

        class Target(BaseModel):
            url: str

        split({"plain": {"url": "…", "zone": "eu"}, "sealed": {}}, Target)
        # ({"plain": {"url": "…"}, "sealed": {}}, {"plain": {"zone": "eu"}, "sealed": {}})
    """
    plain, sealed = document["plain"], document["sealed"]
    unknown = plain.keys() - member_names(model)
    if not unknown or model.model_config.get("extra") == "allow":
        return document, {}
    fields = {field for field in sealed if orjson.loads(field)[0] in unknown}
    rest = {
        "plain": {name: plain[name] for name in unknown},
        "sealed": {field: sealed[field] for field in fields},
    }
    known = {
        "plain": {name: value for name, value in plain.items() if name not in unknown},
        "sealed": {field: text for field, text in sealed.items() if field not in fields},
    }
    return known, rest


def with_unknown(document: Document, unknown: Document) -> dict[str, Any]:
    """A document with the unknown members put back, at each depth. What the document has itself stays as it is."""
    whole = dict(document)
    for name, value in unknown.items():
        if name not in whole:
            whole[name] = value
        elif isinstance(value, Mapping) and isinstance(whole[name], Mapping):
            whole[name] = with_unknown(whole[name], value)
    return whole
