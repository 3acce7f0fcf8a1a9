"""Drill F08: power may fail at any moment, so each 202 waits for the disk."""

import re
from pathlib import Path

from tests.faults.drill import Drill, record
from tests.faults.oracle import Verdict

STRACE = (
    "strace",
    "-D",
    "-f",
    "-y",
    "-qq",
    "-s",
    "16",
    "-e",
    "trace=pwrite64,fdatasync,fsync,write,writev,sendto,sendmsg",
)
_WRITTEN = re.compile(r"pwrite64\(\d+<[^>]*-wal>")
_SYNC_BEGINS = re.compile(r"f(?:data)?sync\(\d+<[^>]*-wal>")
_SYNC_ENDS = re.compile(r"f(?:data)?sync(?:\(\d+<[^>]*-wal>| resumed>).*\)\s+= 0")
_ACCEPTED = re.compile(r"HTTP/1\.1 202")


def promises(trace: Path) -> list[bool]:
    """For each 202 in a trace of system calls, whether all that was written to the log before it was synced first."""
    kept: list[bool] = []
    written = synced = False
    for line in trace.read_text(errors="replace").splitlines():
        if _WRITTEN.search(line):
            written, synced = True, False
        elif _SYNC_ENDS.search(line):
            synced = written
        elif _ACCEPTED.search(line):
            kept.append(written and synced)
            written = synced = False
    return kept


async def test_f08_every_202_follows_the_sync_of_what_it_promises(drill: Drill, tmp_path: Path) -> None:
    """Red with `synchronous=NORMAL` or `OFF`, and when the answer is given before the commit.

    Nothing is subscribed and one client publishes, so that all that is written is what it publishes.
    """
    trace = tmp_path / "trace"
    await drill.hub.start(wrapper=[*STRACE, "-o", str(trace)])
    await drill.publisher.publish_many(30)
    await drill.hub.stop()
    kept = promises(trace)
    verdict = Verdict("F08", drill.store, acked=len(drill.publisher.acked), lost=kept.count(False))
    if kept != [True] * 30:
        verdict.complaints.append(f"{kept.count(True)} of {len(kept)} answers 202 came after the sync of their event")
    record(verdict)
    assert verdict.passed, verdict
