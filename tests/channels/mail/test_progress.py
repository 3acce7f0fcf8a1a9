import pytest

from channels.mail import Progress

RECIPIENTS = ("ann@example.com", "bob@example.com", "eve@example.com")


def test_what_was_written_is_read_again() -> None:
    progress = Progress(frozenset({"ann@example.com"}), {"jürgen@example.com": "550 No such user"})
    assert Progress.read(progress.text()) == progress


@pytest.mark.parametrize("text", [None, "", "{", "null", "[]", '{"taken": 1}', '{"refused": ["a"]}'])
def test_what_cannot_be_read_counts_as_nothing(text: str | None) -> None:
    assert Progress.read(text) == Progress()


def test_members_of_a_newer_version_are_ignored() -> None:
    assert Progress.read('{"taken": ["ann@example.com"], "later": 1}') == Progress(frozenset({"ann@example.com"}))


@pytest.mark.parametrize(
    ("taken", "refused", "missing"),
    [
        ((), (), RECIPIENTS),
        (("bob@example.com",), (), ("ann@example.com", "eve@example.com")),
        (("bob@example.com",), ("ann@example.com",), ("eve@example.com",)),
        (("bob@example.com", "eve@example.com"), ("ann@example.com",), ("ann@example.com",)),
        (RECIPIENTS, (), ()),
    ],
)
def test_those_who_were_refused_come_again_when_nobody_else_is_left(
    taken: tuple[str, ...], refused: tuple[str, ...], missing: tuple[str, ...]
) -> None:
    assert Progress(frozenset(taken), dict.fromkeys(refused, "550 No")).missing(RECIPIENTS) == missing
