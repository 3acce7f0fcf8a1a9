"""The tree of errors is what its drawing says, and each error is a problem of its own."""

import re
from collections.abc import Iterator

import pytest

from hub import errors
from hub.errors import Conflict, Fault, HubError, Invalid, StaleCatalogue


def family(error: type[HubError]) -> Iterator[type[HubError]]:
    """All below it that the module defines."""
    for kind in error.__subclasses__():
        if kind.__module__ == errors.__name__:
            yield kind
            yield from family(kind)


def test_the_drawing_shows_every_error_with_its_status() -> None:
    drawn = re.findall(r"── (\w+) +(\d{3})?", errors.__doc__ or "")
    assert [name for name, _ in drawn] == [kind.__name__ for kind in family(HubError)]
    assert {name: int(status) for name, status in drawn if status} == {
        kind.__name__: kind.status for kind in family(HubError) if kind is not StaleCatalogue
    }
    assert issubclass(StaleCatalogue, Conflict)


def test_each_error_has_a_code_and_no_two_have_the_same() -> None:
    codes = [kind.code for kind in family(HubError)]
    assert sorted({*codes, HubError.code}) == sorted([*codes, HubError.code])


@pytest.mark.parametrize("kind", [*family(HubError)])
def test_a_problem_has_the_members_of_its_error(kind: type[HubError]) -> None:
    problem = kind("What is wrong.", retry_after=1).problem()
    assert problem == {
        "type": f"urn:notification-hub:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": "What is wrong.",
    }


def test_a_problem_names_each_place_that_is_at_fault() -> None:
    problem = Invalid("See `errors`.", errors=[Fault("is required", "/data/total")]).problem()
    assert problem["errors"] == [{"detail": "is required", "pointer": "/data/total"}]
