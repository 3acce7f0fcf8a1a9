"""Drill F08: power may fail at any moment, so each 202 waits for the disk."""

import asyncio
import re
from pathlib import Path

import pytest

from tests.faults.conftest import on_sqlite
from tests.faults.drill import Drill, record
from tests.faults.oracle import Verdict

CALLS = "trace=pwrite64,fdatasync,fsync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg"
STRACE = ("strace", "-D", "-f", "-y", "-qq", "-s", "24", "-e", CALLS)
EVENTS = 15
PAUSE_SECONDS = 0.05
"""Between two events, so that what an early answer left for later is not taken for the next one's."""
_ASKED = re.compile(r"POST /v1/events ")
_WRITTEN = re.compile(r"pwrite64\(\d+<[^>]*-wal>")
_SYNCED = re.compile(r"f(?:data)?sync(?:\(\d+<[^>]*-wal>| resumed>).*\)\s+= 0")
_ACCEPTED = re.compile(r"HTTP/1\.1 202")


def promises(trace: Path) -> list[bool]:
    """For each 202 in a trace of system calls, whether all that was written to the log for it was synced before."""
    kept: list[bool] = []
    written = synced = False
    for line in trace.read_text(errors="replace").splitlines():
        if _ASKED.search(line):
            written = synced = False
        elif _WRITTEN.search(line):
            written, synced = True, False
        elif _SYNCED.search(line):
            synced = written
        elif _ACCEPTED.search(line):
            kept.append(written and synced)
    return kept


@on_sqlite
@pytest.mark.privileged
async def test_f08_every_202_follows_the_sync_of_what_it_promises(drill: Drill, tmp_path: Path) -> None:
    """Red with `synchronous=NORMAL` or `OFF`, and when the answer is given before the commit.

    Nothing is subscribed and one client publishes, so that all that is written is what it publishes.
    """
    trace = tmp_path / "trace"
    await drill.hub.start(wrapper=[*STRACE, "-o", str(trace)])
    for _ in range(EVENTS):
        await drill.publisher.publish()
        await asyncio.sleep(PAUSE_SECONDS)
    await drill.hub.stop()
    kept = promises(trace)
    verdict = Verdict("F08", drill.store, acked=len(drill.publisher.acked), lost=kept.count(False))
    if kept != [True] * EVENTS:
        verdict.complaints.append(f"{kept.count(True)} of {len(kept)} answers 202 came after the sync of their event")
    record(verdict)
    assert verdict.passed, verdict
