"""A target whose secrets cannot be decrypted, because the key that they were sealed with is lost."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import ConfigDict, PrivateAttr

from channels.base import TargetModel
from hub.errors import Fault, Invalid
from hub.validation import pointer

HELD = "its secrets cannot be decrypted, because the HUB_SECRET_KEY that they were sealed with is lost: set them again"
_AGAIN = "cannot be decrypted: send it again, or null to leave it out"


class UnreadableTarget(TargetModel):
    """What can be read of such a target: every member that is not a secret. Nothing can be sent to it."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    _document: Mapping[str, Any] = PrivateAttr()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "UnreadableTarget":
        """`document` is what `Sealer.seal_model` gave."""
        target = cls.model_validate(_without_nulls(document["plain"]))
        target._document = document
        return target

    @property
    def document(self) -> Mapping[str, Any]:
        """As it was stored: the sealed secrets stay, in case that the key is found."""
        return self._document

    @property
    def missing(self) -> Sequence[str]:
        """Pointers to the secrets, but for those that a rotation left behind."""
        return [pointer("target", *path) for path in self._paths()]

    def refuse_without(self, target: object) -> None:
        """Raise `Invalid` unless a patch of the target gives each of the secrets."""
        absent = [Fault(_AGAIN, pointer("target", *path)) for path in self._paths() if not _names(target, path)]
        if absent:
            raise Invalid("The secrets of this target have to be set again.", errors=absent)

    def _paths(self) -> list[list[str]]:
        paths = (orjson.loads(field) for field in self._document["sealed"])
        return [path for path in paths if path[0] != "previous_secrets"]


def _without_nulls(value: Any) -> Any:
    """Without the secrets, in whose places a document has null."""
    if isinstance(value, dict):
        return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}
    return value


def _names(value: object, path: Sequence[str]) -> bool:
    for part in path:
        if not isinstance(value, dict) or part not in value:
            # Above the secret itself, null and a value of another form replace everything below it.
            return value is None
        value = value[part]
    return True
