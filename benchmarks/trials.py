"""Tables of what becomes of many networks: each is tried in a process of its own, the results make a page."""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import signal
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare import RESULTS, Parser
from benchmarks.report import write_json

DOCS = Path(__file__).resolve().parents[1] / "docs"
LIMIT = 1200
"""Seconds of processor time that one network may take."""
Rows = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Table:
    """name: of the command, of the results, and of the page. networks: in the page's order. packages: imported before
    all. trial: the row of one, made in a folder of its own. page: the text, of all rows."""

    name: str
    networks: Sequence[str]
    packages: Sequence[str]
    trial: Callable[[str, Path], dict[str, Any]]
    page: Callable[[Rows], str]

    @property
    def results(self) -> Path:
        return RESULTS / f"{self.name}.json"

    @property
    def document(self) -> Path:
        return DOCS / f"{self.name}.md"


def fill(table: Table, description: str | None, argv: Sequence[str] | None) -> int:
    """The command: files are written when all were tried, or Ctrl-C has ended it."""
    parser = Parser(description=description, prog=f"python -m benchmarks.{table.name}")
    parser.add_argument("networks", metavar="ID", nargs="*", help=f"default: all of {', '.join(table.networks)}")
    results = table.results.name
    parser.add_argument("--json", type=Path, help=f"results, which are added to (default: {results}, and the page)")
    parser.add_argument("--page", action="store_true", help="try nothing, write the page of the results that are there")
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.networks) - set(table.networks))
    if unknown:
        parser.error(f"no such network: {', '.join(unknown)}")
    rows = arguments.json or table.results
    if arguments.page:
        if not rows.exists():
            parser.error(f"--page: there are no results in {rows}: run it without --page first")
    else:
        warnings.simplefilter("ignore")
        for package in table.packages:
            importlib.import_module(package)
        try_all(table, arguments.networks or table.networks, rows)
    if arguments.page or arguments.json is None:
        table.document.write_text(table.page(json.loads(rows.read_text())))
        print(table.document)
    return 0


def try_all(table: Table, names: Sequence[str], results: Path) -> None:
    """Adds the rows of these networks to the results, of those that were tried also where it is interrupted."""
    rows = json.loads(results.read_text()) if results.exists() else {}
    try:
        for name in names:
            print(name, end=" ", flush=True)
            rows[name] = apart(table.trial, name)
            print(json.dumps(rows[name]), flush=True)
    finally:
        write_json({n: rows[n] for n in table.networks if n in rows}, results)


def apart(trial: Callable[[str, Path], dict[str, Any]], name: str) -> dict[str, Any]:
    """The row of one network, in a process of its own: what one leaves behind is no matter to the next."""
    with tempfile.TemporaryDirectory(prefix="ncnn-builder-bench-") as folder:
        row = Path(folder) / "row.json"
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        limit = LIMIT if most == resource.RLIM_INFINITY else min(LIMIT, most)
        child = os.fork()  # torch and the packages are imported once
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


def said(error: BaseException, fix: str | None = None) -> str:
    """What is wrong, and where; not what to do, which is for who converts, nor folders of this machine."""
    text = str(error).removesuffix(f". {fix or getattr(error, 'fix', None)}")
    return re.sub(r"/\S*/(?=[^/\s]+\.py)", "", " ".join(text.split()))


def line(row: Mapping[str, Any], *cells: str) -> str:
    """A row of a page's table: these cells, the error, and how many layers there are."""
    error = f"{row['error']:.0e}" if "error" in row else ""
    return f"| {' | '.join([*cells, error, str(row.get('layers', ''))])} |"


def ended(lines: Sequence[str], rows: Rows, networks: Sequence[str], sizes: str) -> str:
    """A page, at whose end stands why some do not convert, or not for these sizes, and which were not tried."""
    end = [
        *lines,
        *_whys("Why these do not convert", "failed", rows),
        *_whys(f"Why these do not for {sizes}", "not_open", rows),
    ]
    missing = [name for name in networks if name not in rows]
    return "\n".join([*end, *(["", f"Not tried yet: {', '.join(missing)}."] if missing else []), ""])


def _whys(title: str, key: str, rows: Rows) -> list[str]:
    lines = [f"- {name}: {_plain(row[key])}" for name, row in rows.items() if key == _reason(row)]
    return ["", f"## {title}", "", *lines] if lines else []


def _plain(why: str) -> str:
    """Words of an error, none of which a page takes for a mark of its own."""
    return re.sub(r"([\\`*_<>\[\]|])", r"\\\1", " ".join(why.split()))


def _reason(row: Mapping[str, Any]) -> str | None:
    """What there is to say of a network: why it does not convert, else why for one size only."""
    return next((key for key in ("failed", "not_open") if key in row), None)
