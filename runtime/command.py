"""What every command line of the runtime does around its work: --help, mistakes of users, Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from .errors import NcnnError
from .stopping import unwind_on_sigterm
from .strangers import printable


class Refuted(Exception):
    """What a command was asked to prove is not so: for stdout, with exit status 1."""


def answer(argv: list[str] | None, usage: Callable[[], str], work: Callable[[Sequence[str]], object]) -> int:
    """Prints what `work` makes of the arguments, or the text of --help.

    Returns 0, 1 where it is Refuted, 2 for a mistake of the user's (one line on stderr), 130 after Ctrl-C; SIGTERM ends
    it with 143. argv: by default those of the process.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if argv is None:
        unwind_on_sigterm()
    if any(argument in ("-h", "--help", "help") for argument in arguments):
        print(usage(), end="")
        return 0
    try:
        result = work(arguments)
    except Refuted as findings:
        print(printable(str(findings)))
        return 1
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
