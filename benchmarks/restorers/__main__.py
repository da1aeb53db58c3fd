"""Every architecture of spandrel with random weights: `python -m benchmarks.restorers` writes docs/restorers.md.

Needs spandrel, spandrel_extra_arches and ncnn's wheel. Each network becomes a checkpoint that spandrel recognises, and
goes through the door that users take (benchmarks.restorers.trial). `python -m benchmarks.restorers SPAN HAT` tries
these again and leaves the other rows as they are; --page only writes the page of the results that are there. Files
are written when all were tried, or Ctrl-C has ended it; with --json, which is for trials, that file and no page.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.compare import RESULTS, Parser
from benchmarks.report import write_json
from benchmarks.restorers.networks import NETWORKS
from benchmarks.restorers.page import PAGE, page
from benchmarks.restorers.trial import trial

RESULT = RESULTS / "restorers.json"
LIMIT = 1200
"""Seconds of processor time that one network may take."""


def tried(name: str) -> dict[str, Any]:
    """The row of one network, in a process of its own: what one leaves behind is no matter to the next."""
    with tempfile.TemporaryDirectory(prefix="ncnn-builder-bench-") as folder:
        row = Path(folder) / "row.json"
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        limit = LIMIT if most == resource.RLIM_INFINITY else min(LIMIT, most)
        child = os.fork()  # torch and spandrel are imported once
        if child == 0:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, most))
            try:
                row.write_text(json.dumps(trial(name, Path(folder))))
            finally:
                os._exit(0)
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if row.exists():
            return json.loads(row.read_text())
        late = -ended in (signal.SIGXCPU, signal.SIGKILL) and f"stopped after {limit} s of processor time"
        return {"failed": late or f"the trial ended with {ended}"}


def try_all(names: Sequence[str], results: Path) -> None:
    """Adds the rows of these networks to the results, of those that were tried also where it is interrupted."""
    rows = json.loads(results.read_text()) if results.exists() else {}
    try:
        for name in names:
            print(name, end=" ", flush=True)
            rows[name] = tried(name)
            print(json.dumps(rows[name]), flush=True)
    finally:
        write_json({n: rows[n] for n in NETWORKS if n in rows}, results)


def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser(description=__doc__, prog="python -m benchmarks.restorers")
    parser.add_argument("networks", metavar="ID", nargs="*", help=f"default: all of {', '.join(NETWORKS)}")
    parser.add_argument("--json", type=Path, help=f"results, which are added to (default: {RESULT.name}, and the page)")
    parser.add_argument("--page", action="store_true", help="try nothing")
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.networks) - NETWORKS.keys())
    if unknown:
        parser.error(f"no such network: {', '.join(unknown)}")
    results = arguments.json or RESULT
    if arguments.page:
        if not results.exists():
            parser.error(f"--page: there are no results in {results}: run it without --page first")
    else:
        warnings.simplefilter("ignore")
        for package in ("spandrel", "spandrel_extra_arches"):
            importlib.import_module(package)
        try_all(arguments.networks or list(NETWORKS), results)
    if arguments.page or arguments.json is None:
        PAGE.write_text(page(json.loads(results.read_text())))
        print(PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
