"""A failpoint kills the process at the passage that was asked for, and is nothing otherwise."""

import signal
import subprocess
import sys

import pytest

from hub.failpoints import failpoints

PROGRAM = """
from hub.failpoints import failpoints
reached = failpoints("here:kill:2, elsewhere:kill")
for passage in range(3):
    reached("here")
    print(passage, flush=True)
"""


@pytest.mark.parametrize("text", ["here", "here:stop", "here:kill:x", "here:kill:1:2", ":", "here:kill,there"])
def test_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        failpoints(text)


@pytest.mark.parametrize("text", ["", " , ", "elsewhere:kill"])
def test_what_is_not_named_is_passed(text: str) -> None:
    reached = failpoints(text)
    for _ in range(3):
        reached("here")


def test_the_process_is_killed_at_the_passage_that_was_named() -> None:
    ran = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (-signal.SIGKILL, "0\n")
