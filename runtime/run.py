"""The command line of the runtime: pictures, tables of them and videos, from seeds."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from .arguments import parse, usage
from .command import answer
from .modes import PAINTERS, info


def main(argv: list[str] | None = None) -> int:
    """Returns 0, 2 for a mistake of the user's (one line on stderr), 130 after Ctrl-C; SIGTERM exits with 143."""
    return answer(argv, usage, run)


def run(arguments: Sequence[str]) -> object:
    """Raises NcnnError for everything that is wrong."""
    request = parse(list(arguments))
    return info(request) if request.mode == "info" else PAINTERS[request.mode](request)


if __name__ == "__main__":
    sys.exit(main())
