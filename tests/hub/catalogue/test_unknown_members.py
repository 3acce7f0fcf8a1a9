"""What only a newer version knows of a document is set aside when it is read, and put back when it is written."""

from typing import Any

from channels.base import TargetModel
from hub.catalogue.unknown_members import split, with_unknown

KNOWN: dict[str, dict[str, Any]] = {
    "plain": {"url": "u", "headers": {"a": None}},
    "sealed": {'["headers","a"]': "v1:a"},
}


class Target(TargetModel):
    url: str
    headers: dict[str, str]


class OpenTarget(TargetModel, extra="allow"):
    """Takes whatever it is given."""


def test_a_document_without_unknown_members_is_what_it_was() -> None:
    assert split(KNOWN, Target) == (KNOWN, {})
    assert with_unknown(KNOWN, {}) == KNOWN


def test_unknown_members_are_apart_with_their_secrets_and_come_back() -> None:
    newer = {
        "plain": {**KNOWN["plain"], "token": None, "zone": "eu"},
        "sealed": {**KNOWN["sealed"], '["token"]': "v1:t"},
    }
    known, unknown = split(newer, Target)
    assert known == KNOWN
    assert unknown == {"plain": {"token": None, "zone": "eu"}, "sealed": {'["token"]': "v1:t"}}
    assert with_unknown(known, unknown) == newer


def test_a_model_that_takes_every_member_knows_every_member() -> None:
    assert split(KNOWN, OpenTarget) == (KNOWN, {})


def test_what_a_document_has_itself_stays() -> None:
    document = {"rate": None, "limit": {"per_second": 2}}
    unknown = {"rate": {"burst": 1}, "limit": {"per_second": 1, "burst": 3}, "zone": "eu"}
    assert with_unknown(document, unknown) == {"rate": None, "limit": {"per_second": 2, "burst": 3}, "zone": "eu"}
