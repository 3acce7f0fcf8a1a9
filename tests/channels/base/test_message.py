"""A failure says whether it may pass, and nothing that it was not told."""

from channels.base import SendFailed


def test_a_failure_may_pass_unless_it_says_otherwise() -> None:
    failure = SendFailed("no answer")
    assert (failure.permanent, failure.retry_after, failure.status_code, str(failure)) == (
        False,
        None,
        None,
        "no answer",
    )
