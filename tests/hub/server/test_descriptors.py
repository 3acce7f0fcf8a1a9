"""What needs an open file fits in the limit on them."""

import resource
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.server.descriptors import DESCRIPTORS, fitted, raise_limit, report_lowered
from hub.settings import Settings


def test_a_low_limit_on_open_files_is_raised_as_far_as_it_may_be() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    hard = before[1]
    wanted = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, DESCRIPTORS)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        assert raise_limit() == wanted
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (wanted, hard)
        assert raise_limit() == wanted
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(("limit", "attempts", "connections"), [(65_536, 256, 65_152), (256, 64, 64), (64, 16, 16)])
def test_a_low_limit_is_shared_between_attempts_and_connections(
    tmp_path: Path, limit: int, attempts: int, connections: int
) -> None:
    asked = Settings(data_dir=tmp_path)
    used, room = fitted(asked, limit)
    assert (used.max_in_flight, room) == (attempts, connections)
    assert used.stream_max_listeners == min(2_000, room * 3 // 4)
    with capture_logs() as logs:
        report_lowered(asked, used)
    lowered = {line["setting"]: (line["asked"], line["used"]) for line in logs}
    assert lowered == (
        {}
        if limit == DESCRIPTORS
        else {
            "HUB_MAX_IN_FLIGHT": (256, attempts),
            "HUB_STREAM_MAX_LISTENERS": (2_000, used.stream_max_listeners),
        }
    )
