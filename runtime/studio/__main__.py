"""The command line of the studio: a page on this machine, where a generator's pictures are seen and steered."""

from __future__ import annotations

import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Sequence

from ..command import answer
from ..errors import OptionError, UsageError
from .arguments import Settings, parse, usage
from .export import export
from .nets import Nets
from .shelf import Shelf


def run(arguments: Sequence[str]) -> object:
    """Serves until Ctrl-C, or writes the page as files. Raises NcnnError for everything that is wrong."""
    settings = parse(list(arguments))
    if settings.export is not None:
        return export(settings.export, settings.model, settings.wasm)
    try:
        import uvicorn

        from .server import Studio
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "anyio", "h11", "click"):
            raise
        fix = 'Install the extra: pip install "ncnn-builder[studio]"'
        raise OptionError(f"the studio needs the package {error.name}", fix=fix) from None
    shelf = Shelf(settings.model, settings.threads, settings.isolate)
    nets = Nets(settings.nets, shelf, settings.threads)
    with listening(settings) as listener:
        port = listener.getsockname()[1]
        token = secrets.token_urlsafe(24)
        studio = Studio(shelf, nets)
        config = uvicorn.Config(
            studio.app(token, port),
            log_level="error",
            lifespan="off",
            ws="none",
            server_header=False,
            date_header=False,
            access_log=False,
            timeout_graceful_shutdown=2,
        )
        address = f"http://127.0.0.1:{port}/{token}/" + ("nets.html" if nets.first else "")
        print(f"{address}", flush=True)
        about = f"net: {', '.join(nets.first)}" if nets.first else f"model: {shelf.first}"
        if not settings.quiet:
            print(f"{about}; Ctrl-C ends the studio", file=sys.stderr, flush=True)
        if settings.open:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        try:
            uvicorn.Server(config).run([listener])
        finally:
            studio.close()
    return "the studio has ended"


def listening(settings: Settings) -> socket.socket:
    """The socket, of this machine alone. Raises UsageError where the port is taken."""
    # The protocol by its number: asyncio turns off Nagle's delay, 40 ms of each answer, where it sees TCP there.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", settings.port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(f"port={settings.port} cannot be had", reason=error.strerror, fix="Leave port= away") from None
    return listener


def main(argv: list[str] | None = None) -> int:
    """Returns 0, 2 for a mistake of the user's (one line on stderr), 130 after Ctrl-C; SIGTERM exits with 143."""
    return answer(argv, usage, run)


if __name__ == "__main__":
    sys.exit(main())
