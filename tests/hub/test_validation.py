"""Pointers, and pydantic's errors without what was sent."""

import json
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import BaseModel, ConfigDict, EmailStr, Field, SecretStr, ValidationError, field_validator
from pydantic_core import InitErrorDetails
from pydantic_core.core_schema import ErrorType

from channels import load_channels
from hub.api.document import SHOWN_NAMES
from hub.api.events import ReplayRequest
from hub.api.sources import NewSecret
from hub.api.subscriptions import Replacement, Rotation
from hub.app import create_app
from hub.catalogue.event_types.model import EventTypeSpec
from hub.catalogue.keys import NewKey, NewTenant
from hub.catalogue.sources import SourceSpec
from hub.catalogue.subscriptions import SubscriptionSpec
from hub.dispatch.send_test import SendTestRequest
from hub.errors import Fault
from hub.publishing.event import NewEvent
from hub.settings import Settings
from hub.validation import MAX_FAULTS, pointer, pydantic_faults


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Form(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    email: EmailStr = "a@example.com"
    count: int = Field(0, gt=-1)
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    parts: list[int] = []
    odd: str = ""

    @field_validator("odd")
    @classmethod
    def _odd(cls, value: str) -> str:
        if value:
            raise ValueError("must be empty")
        return value


def told(document: Any) -> tuple[Fault, ...]:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate(document)
    return pydantic_faults(caught.value, "form")


def test_a_pointer_escapes_what_rfc_6901_asks_for() -> None:
    assert pointer("a/b", "m~n", 0, "") == "/a~1b/m~0n/0/"
    assert pointer() == ""


def test_long_names_are_cut() -> None:
    assert pointer("x" * 1_000) == "/" + "x" * 64


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ({}, Fault("is required", "/form/name")),
        ({"name": 5}, Fault("must be a string", "/form/name")),
        ({"name": "x", "more": 1}, Fault("is not a known member", "/form/more")),
        ({"name": "x", "email": "s3cret@@"}, Fault("must be an e-mail address", "/form/email")),
        ({"name": "x", "count": -5}, Fault("must be greater than -1", "/form/count")),
        ({"name": "x", "pet": {"kind": "s3cret"}}, Fault("names none of the known kinds", "/form/pet")),
        ({"name": "x", "parts": 5}, Fault("must be an array", "/form/parts")),
        ({"name": "x", "odd": "s3cret"}, Fault("must be empty", "/form/odd")),
        ([], Fault("must be an object", "/form")),
    ],
)
def test_each_error_becomes_a_plain_fault(document: Any, fault: Fault) -> None:
    assert told(document) == (fault,)


def test_an_unknown_member_is_answered_with_those_that_are_known() -> None:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate({"name": "x", "more": 1, "pet": {"kind": "cat"}})
    fault = Fault("is not a known member; known are name, email", "/form/more")
    assert pydantic_faults(caught.value, "form", known=("name", "email")) == (fault,)


def test_no_more_than_twenty_are_told() -> None:
    assert len(told({"name": "x", "parts": ["s3cret"] * 100})) == MAX_FAULTS
    assert "s3cret" not in repr(told({"name": "x", "parts": ["s3cret"] * 100}))


# -- every model of a request ----------------------------------------------------------------------------------------

REQUESTS: tuple[type[BaseModel], ...] = (
    EventTypeSpec,
    NewEvent,
    NewKey,
    NewTenant,
    NewSecret,
    Replacement,
    ReplayRequest,
    Rotation,
    SendTestRequest,
    SourceSpec,
    SubscriptionSpec,
    *(channel.Target for channel in load_channels().values()),
)
WRONG: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 1e300, float("inf"), "", "x", "\0", "x" * 70_000, "10.5", [], [None], ["x"] * 2_000,
    {}, {"": 1},
    {f"n{number}": "x" for number in range(200)}, [[]], [{"secret": 1}], {"per_second": 0}, {"per_second": "x"},
)  # fmt: skip
INTERNALS = re.compile(
    r"(?i)\binput\b|\bshould\b|\bvalid (dict|list|tuple|str|int|bool)|\btuple\b|frozenset|dictionary|\binstance\b"
    r"|lax-or-strict|function-|pydantic|python|\bregex|[{}]|Value error"
)


def test_the_models_are_those_that_the_api_documents(tmp_path: Path) -> None:
    document = create_app(Settings(data_dir=tmp_path)).openapi()
    bodies = [
        operation["requestBody"] for path in document["paths"].values() for operation in path.values()
        if "requestBody" in operation
    ]  # fmt: skip
    named = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(bodies)))
    assert {"NewKey", "NewTenant", "SecretRotation"} <= named
    # The last three are read as plain objects.
    shown = {SHOWN_NAMES.get(model.__name__, model.__name__) for model in REQUESTS}
    assert named <= shown | {"CloudEvent", "SourcePatch", "SubscriptionPatch"}


@pytest.mark.parametrize("model", REQUESTS, ids=lambda model: model.__name__)
def test_no_request_is_answered_with_words_of_the_library(model: type[BaseModel]) -> None:
    documents: list[Any] = [*WRONG, *({name: value} for name in [*model.model_fields, "unknown"] for value in WRONG)]
    faults: set[Fault] = set()
    for document in documents:
        try:
            model.model_validate(document)
        except ValidationError as error:
            faults.update(pydantic_faults(error))
    assert len(faults) >= 3
    assert [
        fault for fault in faults if INTERNALS.search(fault.detail.replace("{0,62}", "")) or "[" in fault.pointer
    ] == []


LIMITS: dict[str, Any] = {
    "gt": 0, "ge": 0, "lt": 0, "le": 0, "multiple_of": 2, "min_length": 1, "max_length": 5, "actual_length": 9,
    "field_type": "Tuple", "expected": "'a' or 'b'", "pattern": "^x$", "error": "wrong", "class_name": "Form",
    "class": "Form", "discriminator": "'kind'", "tag": "x", "expected_tags": "'a'", "max_digits": 3,
    "decimal_places": 2, "whole_digits": 1, "tz_expected": 1, "tz_actual": 2, "expected_schemes": "http",
    "method_name": "open",
    "attribute": "a", "encoding": "utf8", "encoding_error": "wrong", "expected_version": 4,
}  # fmt: skip


def test_every_error_of_the_library_has_words() -> None:
    for kind in get_args(ErrorType):
        error = ValidationError.from_exception_data("form", [InitErrorDetails(type=kind, input=1, ctx=LIMITS)])
        (fault,) = pydantic_faults(error)
        assert not INTERNALS.search(fault.detail), fault


def test_a_limit_reads_as_it_is_written() -> None:
    class Limited(BaseModel):
        wait: float = Field(30, le=30.0)
        name: str = Field("x", min_length=1)
        token: SecretStr = Field(SecretStr("x"), min_length=2)
        body: dict[str, int] = {}

    with pytest.raises(ValidationError) as caught:
        Limited.model_validate({"wait": 31, "name": "", "token": "x", "body": {"body": "x"}})
    assert pydantic_faults(caught.value) == (
        Fault("must be at most 30", "/wait"),
        Fault("must have at least 1 character", "/name"),
        Fault("must have at least 2 characters", "/token"),
        Fault("must be a whole number", "/body/body"),
    )
