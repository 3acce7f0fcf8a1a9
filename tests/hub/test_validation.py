"""Pointers, and pydantic's errors without what was sent."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, EmailStr, Field, ValidationError, field_validator

from hub.errors import Fault
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


def test_no_more_than_twenty_are_told() -> None:
    assert len(told({"name": "x", "parts": ["s3cret"] * 100})) == MAX_FAULTS
    assert "s3cret" not in repr(told({"name": "x", "parts": ["s3cret"] * 100}))
