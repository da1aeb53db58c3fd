"""The command line of the runtime: pictures, tables of them and videos, from seeds."""

from __future__ import annotations

import sys

from .arguments import parse, usage
from .errors import NcnnError
from .modes import PAINTERS, info
from .stopping import unwind_on_sigterm
from .strangers import printable


def main(argv: list[str] | None = None) -> int:
    """Returns 0, 2 for a mistake of the user's (one line on stderr), 130 after Ctrl-C; SIGTERM exits with 143."""
    arguments = sys.argv[1:] if argv is None else argv
    if argv is None:
        unwind_on_sigterm()
    if any(argument in ("-h", "--help", "help") for argument in arguments):
        print(usage(), end="")
        return 0
    try:
        request = parse(arguments)
        result = info(request) if request.mode == "info" else PAINTERS[request.mode](request)
    except NcnnError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:  # the disk is full, a file vanished
        print(printable(f"error: {error}", keep=""), file=sys.stderr)
        return 2
    except MemoryError:
        print("error: out of memory", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    print(printable(str(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
