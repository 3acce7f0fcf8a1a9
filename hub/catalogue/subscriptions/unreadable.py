"""Targets that nothing can be sent to: their secrets are lost, or only another version of the hub can read them."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NoReturn

import orjson
from pydantic import ConfigDict, PrivateAttr

from channels.base import TargetModel
from hub.errors import Conflict, Fault, Invalid
from hub.validation import pointer

FOREIGN = "cannot be read by this version of the hub"
HELD = "its secrets cannot be decrypted, because the HUB_SECRET_KEY that they were sealed with is lost: set them again"
_AGAIN = "cannot be decrypted: send it again, or null to leave it out"


class UnreadableTarget(TargetModel):
    """What can be read of such a target: every member that is not a secret. Nothing can be sent to it."""

    model_config = ConfigDict(extra="allow", frozen=True, hide_input_in_errors=True)

    _document: Mapping[str, Any] = PrivateAttr()
    held: ClassVar[str] = HELD
    """Why its deliveries are held."""

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


class ForeignTarget(TargetModel):
    """The target of a subscription that another version of the hub has stored, in a form that this one cannot read."""

    _document: Mapping[str, Any] = PrivateAttr()
    _held: str = PrivateAttr()
    _matches: bool = PrivateAttr()

    @classmethod
    def of(cls, document: Mapping[str, Any], reason: str, *, matches: bool) -> "ForeignTarget":
        """`document` is the whole record of the subscription. With `matches` everything but its target can be read, so
        it is known which events it selects."""
        target = cls()
        target._document, target._held, target._matches = document, f"{FOREIGN}: {reason}", matches
        return target

    @property
    def document(self) -> Mapping[str, Any]:
        """The record as it was stored; empty where even this cannot be read."""
        return self._document

    @property
    def held(self) -> str:
        """Why its deliveries are held."""
        return self._held

    @property
    def matches(self) -> bool:
        """Whether it is known which events its subscription selects."""
        return self._matches

    def refuse_change(self) -> NoReturn:
        """Raise `Conflict`."""
        raise Conflict(
            f"The subscription {self._held}. Change it through a process of the version that made it, or delete it."
        )


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
