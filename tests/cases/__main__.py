"""Runs the cases, each as a program of its own, and says which hold, which do not and why: `python -m tests.cases [NAME …]`.

A case prints PASS or FAIL, once for each thing that it looks at. One that fails otherwise has no verdict: that is a fault
of the case, and makes this program end with an error.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CASE_SECONDS = 300.0
_VERDICT = re.compile(r"^(PASS|FAIL) .*", re.MULTILINE)


def run(case: str) -> list[str]:
    """The lines of its verdict; one that begins with NONE, and says why, where there is none."""
    with tempfile.TemporaryDirectory(prefix="hub-cases-") as kept:
        command = [sys.executable, "-m", f"tests.cases.{case}"]
        try:
            ended = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, "TMPDIR": kept},
                capture_output=True,
                text=True,
                check=False,
                timeout=CASE_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return [f"NONE {case} - no verdict within {CASE_SECONDS:g} s"]
    verdicts = [found[0] for found in _VERDICT.finditer(ended.stdout)]
    if ended.returncode or not verdicts:
        last = (ended.stderr.strip().splitlines() or ["no output"])[-1]
        verdicts.append(f"NONE {case} - ended with {ended.returncode}: {last}")
    return verdicts


def main() -> None:
    wanted = tuple(sys.argv[1:]) or ("c",)
    cases = sorted(path.stem for path in Path(__file__).parent.glob("c[0-9]*.py"))
    lines: list[str] = []
    for case in cases:
        if case.startswith(wanted):
            for line in run(case):
                print(line, flush=True)
                lines.append(line)
    counts = {kind: sum(line.startswith(kind) for line in lines) for kind in ("PASS", "FAIL", "NONE")}
    print(f"{counts['PASS']} hold, {counts['FAIL']} do not, {counts['NONE']} have no verdict")
    sys.exit(1 if counts["NONE"] or not lines else 0)


if __name__ == "__main__":
    main()
