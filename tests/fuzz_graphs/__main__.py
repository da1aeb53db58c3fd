"""`python -m tests.fuzz_graphs [--minutes 30] [--count N] [--seed FIRST] [--jobs N]`.

Findings are printed as they come, one of each kind whole; exit status 1 where there is any.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
import time
from collections import Counter

from .report import reached
from .worker import Finding, outcomes, work

WHOLE = 2
"""So many findings of one signature are printed whole."""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_graphs", description=__doc__)
    parser.add_argument("--minutes", type=float, help="stop after so long")
    parser.add_argument("--count", type=int, help="stop after so many graphs (default: 1000, or as --minutes allows)")
    parser.add_argument("--seed", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--worker", type=int, nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.worker:
        work(*given.worker)
        return 0
    count = given.count or (1000 if given.minutes is None else 1_000_000_000)
    counts, findings = run(given.seed, count, given.jobs, None if given.minutes is None else given.minutes * 60)
    print(f"{reached(counts)}\n{sum(findings.values())} findings of {len(findings)} kinds")
    for signature, times in findings.most_common():
        print(f"{times:6} {' | '.join(signature)}")
    return 1 if findings else 0


def run(first: int, count: int, jobs: int, seconds: float | None) -> tuple[Counter[str], Counter[tuple[str, ...]]]:
    """Counts of what was done, and of findings by signature."""
    results: queue.Queue[Finding | Counter[str] | Exception | None] = queue.Queue()

    def job(number: int) -> None:
        mine = (count - number + jobs - 1) // jobs
        try:
            for outcome in outcomes(first + number, mine, step=jobs, seconds=seconds):
                results.put(outcome)
            results.put(None)
        except Exception as error:
            results.put(error)

    for number in range(jobs):
        threading.Thread(target=job, args=(number,), daemon=True).start()
    counts: Counter[str] = Counter()
    findings: Counter[tuple[str, ...]] = Counter()
    start, told, running = time.monotonic(), 0.0, jobs
    while running:
        outcome = results.get()
        if outcome is None:
            running -= 1
        elif isinstance(outcome, Exception):
            raise outcome
        elif isinstance(outcome, Finding):
            findings[outcome.signature] += 1
            if findings[outcome.signature] <= WHOLE:
                print(f"{'-' * 100}\n{outcome.text}", flush=True)
            else:
                print(f"# seed {outcome.seed}: {' | '.join(outcome.signature)}", flush=True)
        else:
            counts += outcome
        now = time.monotonic() - start
        if now - told > 60:
            told = now
            print(f"# {now:.0f} s: {counts['graphs']} graphs, {sum(findings.values())} findings", flush=True)
    return counts, findings


if __name__ == "__main__":
    sys.exit(main())
