"""Builds the pinned ncnn into the cache: fetches, checks, configures, compiles and installs it. Ncnn.cmake calls this.

Its own process and the standard library only. Progress goes to the terminal, past pip, which shows nothing of what it
runs; where there is no terminal, nowhere. What goes wrong is one message on stderr and exit status 1, and the next
run starts afresh: the folder of the library appears whole or not at all.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import textwrap
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

DISK = 600 << 20
"""Bytes that a build needs on the disk; 30 MB of them stay."""
MEMORY = 1 << 30
"""Bytes that one compiler may take."""
STEP = re.compile(r"\[ *(\d+)(?:/(\d+)|%)\]")
"""Ninja's [12/345], make's [ 12%]."""


class SetupError(Exception):
    pass


class Terminal:
    """One line on the user's terminal that is written over and over."""

    def __init__(self) -> None:
        self.out: IO[str] | None = None
        if os.environ.get("CI"):
            return
        with contextlib.suppress(OSError, AttributeError):  # no terminal, or a system without /dev/tty
            terminal = open("/dev/tty", "w")  # noqa: SIM115
            if os.tcgetpgrp(terminal.fileno()) == os.getpgrp():  # not in the background
                self.out = terminal

    def show(self, text: str, end: str = "") -> None:
        if self.out:
            with contextlib.suppress(OSError):
                width = os.get_terminal_size(self.out.fileno()).columns or 80
                self.out.write(f"\r\033[K{text[: width - 1]}{end}")
                self.out.flush()


def minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


class Progress:
    """How far a build is, from the lines that ninja or make print."""

    def __init__(self, terminal: Terminal, what: str) -> None:
        self.terminal, self.what = terminal, what
        self.started = time.monotonic()
        self.shown = 0.0

    def line(self, line: str) -> None:
        step = STEP.match(line)
        now = time.monotonic()
        if not step or now - self.shown < 0.5:
            return
        self.shown = now
        done, total = int(step[1]), int(step[2] or 100)
        spent = now - self.started
        text = f"{self.what}: {done} of {total} files" if step[2] else f"{self.what}: {done} %"
        text += f", {minutes(spent)}"
        if spent > 10 and done * 10 > total:
            text += f", about {minutes(spent / done * (total - done))} left"
        self.terminal.show(text)


def run(command: list[str], log: Path, progress: Progress | None = None, env: dict[str, str] | None = None) -> None:
    """Runs a command to its end; what it prints is added to the log, and the reason of its failure is a SetupError."""
    last: deque[str] = deque(maxlen=400)
    with log.open("a", encoding="utf-8") as kept:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=env
        )
        assert child.stdout
        try:
            for line in child.stdout:
                kept.write(line)
                last.append(line.rstrip())
                if progress:
                    progress.line(line)
            code = child.wait()
        except BaseException:  # Ctrl-C went to the child too, a full disk only to us
            child.terminate()
            child.wait()
            raise
    if code:
        raise SetupError(reason(list(last), command))


def reason(lines: list[str], command: list[str]) -> str:
    """What a failed command has to say, in a few lines."""
    text = "\n".join(lines)
    if "No space left on device" in text:
        return "no space left on the disk"
    if re.search(r"Killed|out of memory|virtual memory exhausted|cannot allocate memory", text, re.IGNORECASE):
        return "a compiler ran out of memory: one at a time needs least, CMAKE_BUILD_PARALLEL_LEVEL=1"
    errors = [i for i, line in enumerate(lines) if re.search(r"(^|\s)(fatal )?error\b|^CMake Error", line, re.I)]
    start = max(errors[0] - 1, 0) if errors else max(len(lines) - 12, 0)
    said = "\n".join("  " + line for line in lines[start : start + 12])
    return f"{Path(command[0]).name} failed:\n{said}"


def check_cache(root: Path) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe = root / f".{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SetupError(
            f"the cache {root} cannot be written to ({error.strerror}): NCNN_BUILDER_CACHE names another folder"
        ) from None
    free = shutil.disk_usage(root).free
    if free < DISK:
        raise SetupError(
            f"building it takes {DISK >> 20} MB in the cache {root}, where {free >> 20} MB are free: make room, or"
            " name another folder by NCNN_BUILDER_CACHE"
        )


@contextlib.contextmanager
def locked(path: Path, terminal: Terminal) -> Iterator[None]:
    """One build of this ncnn at a time; a process that dies lets go."""
    with path.open("w") as lock:
        if os.name == "nt":
            import msvcrt

            while True:
                with contextlib.suppress(OSError):
                    msvcrt.locking(lock.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl

            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                terminal.show("ncnn is being built by another installation: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def pip_settings() -> tuple[list[str], dict[str, str]]:
    """What pip was told of indexes, proxies and certificates, as arguments and environment for unearth."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True)
    settings: dict[str, str] = {}
    for line in sorted(done.stdout.splitlines(), key=lambda line: line.startswith(":env:")):  # which wins
        key, _, value = line.partition("=")
        with contextlib.suppress(ValueError, SyntaxError):
            settings[key.rpartition(".")[2]] = str(ast.literal_eval(value))
    arguments: list[str] = []
    for name, option in (("index-url", "-i"), ("find-links", "-f"), ("trusted-host", "--trusted-host")):
        for value in settings.get(name, "").split():
            arguments += [option, value]
    env = dict(os.environ)
    if "proxy" in settings:
        env.update(dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY"), settings["proxy"]))
    if "cert" in settings:
        env.setdefault("SSL_CERT_FILE", settings["cert"])
    return arguments, env


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fetch(version: str, sha256: str, sources: Path, log: Path) -> Path:
    """The source distribution, from the cache or the package index."""
    archive = sources / f"ncnn-{version}.tar.gz"
    if archive.exists() and digest(archive) == sha256:
        return archive
    folder = sources / f"{os.getpid()}.part"
    folder.mkdir(parents=True)
    try:
        arguments, env = pip_settings()
        command = [sys.executable, "-m", "unearth", f"ncnn=={version}", "--no-binary", *arguments]
        try:
            run([*command, "--download", str(folder)], log, env=env)
        except SetupError:
            said = log.read_text(encoding="utf-8").strip().splitlines()[-1:] or ["no answer"]
            raise SetupError(
                f"its source could not be fetched from the package index: {said[0]}\nSee to the network, a proxy"
                f" (HTTPS_PROXY) or pip's settings, or put ncnn-{version}.tar.gz, as `pip download` would name it, into"
                f" {sources}"
            ) from None
        got = digest(folder / archive.name)
        if got != sha256:
            raise SetupError(
                f"the source that the package index gave is another one: SHA-256\n  {got}, expected\n  {sha256}\nIt was"
                " deleted. See which index pip is set to"
            )
        os.replace(folder / archive.name, archive)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return archive


def jobs() -> int:
    """Compilers at a time: one for each core that we may use, as far as memory goes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        cores = min(cores, max(1, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // MEMORY))
    return cores


def beside(prefix: Path, ending: str) -> Path:
    return prefix.with_name(prefix.name + ending)


MADE = re.compile(r"create_layer\w*\((?:ncnn::)?LayerType::(\w+)")
"""A layer that another one, or ncnn itself, makes for its own use."""


def left_out(source: Path, wanted: list[str]) -> list[str]:
    """Arguments for cmake that leave out all layers but those that are wanted, and what these and ncnn itself make."""
    names = re.findall(r"^ncnn_add_layer\((\w+)", (source / "CMakeLists.txt").read_text(), re.M)
    if unknown := [name for name in wanted if name not in names]:
        known = "\n  ".join(textwrap.wrap(" ".join(names), 100))
        raise SetupError(f"it has no layer {unknown[0]}: NCNN_BUILDER_NCNN_LAYERS takes some of\n  {known}\n")
    kept, fresh = set[str](), {*wanted, "Input", "Split", *made_in(source.glob("*.cpp"))}
    while fresh:
        kept |= fresh
        files = (path for name in fresh for path in (source / "layer").rglob(f"{name.lower()}*.cpp"))
        fresh = made_in(files) - kept
    return [f"-DWITH_LAYER_{name.lower()}=OFF" for name in names if name not in kept]


def made_in(files: Iterable[Path]) -> set[str]:
    """The layers that these files of ncnn's source, and headers beside them, make."""
    waiting, seen, made = list(files), set[Path](), set[str]()
    while waiting:
        path = waiting.pop()
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        text = path.read_text(encoding="utf-8", errors="replace")
        made.update(MADE.findall(text))
        headers = re.findall(r'^#include "(\w+\.h)"', text, re.M)
        waiting += [place / header for header in headers for place in (path.parent, path.parent.parent)]
    return made


def build(args: argparse.Namespace, terminal: Terminal) -> None:
    prefix, work, log = args.prefix, beside(args.prefix, ".build"), beside(args.prefix, ".log")
    what = f"ncnn {args.version}"
    started = time.monotonic()
    shutil.rmtree(work, ignore_errors=True)  # of a run that was stopped
    log.write_text("")
    terminal.show(f"{what}: fetching the source")
    archive = fetch(args.version, args.sha256, prefix.parent / "sources", log)
    try:
        work.mkdir()
        with tarfile.open(archive) as source:
            source.extractall(work, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        source_dir = work / f"ncnn-{args.version}"
        with (source_dir / "src" / "CMakeLists.txt").open("a") as lists:
            lists.write(f'\ninclude("{args.include.as_posix()}")\n')
        wanted = [name for name in args.layers.split(";") if name]
        more = left_out(source_dir / "src", wanted) if wanted else []
        # Flags of the caller's environment (-march=native, say) are not for a build that is shared and portable.
        env = {k: v for k, v in os.environ.items() if k not in ("CFLAGS", "CXXFLAGS", "LDFLAGS")}
        terminal.show(f"{what}: configuring")
        run([args.cmake, "-S", str(source_dir), "-B", str(work / "build"),
             f"-DCMAKE_INSTALL_PREFIX={work / 'install'}", *args.configure, *more], log, env=env)  # fmt: skip
        parallel = [] if "CMAKE_BUILD_PARALLEL_LEVEL" in env else ["--parallel", str(jobs())]
        progress = Progress(terminal, f"{what}, once for all checkouts")
        run([args.cmake, "--build", str(work / "build"), "--config", "Release", *parallel], log, progress, env)
        run([args.cmake, "--install", str(work / "build"), "--config", "Release"], log, env=env)
        os.replace(work / "install", prefix)  # last and at once: a prefix that exists is whole
    finally:
        shutil.rmtree(work, ignore_errors=True)
    log.unlink()
    terminal.show(f"{what}: built in {minutes(time.monotonic() - started)}", "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True)
    parser.add_argument("--sha256", required=True)
    parser.add_argument("--prefix", required=True, type=Path, help="the folder that the library gets in the cache")
    parser.add_argument(
        "--include", required=True, type=Path, help="CMake file for the end of ncnn's src/CMakeLists.txt"
    )
    parser.add_argument("--cmake", required=True)
    parser.add_argument("--layers", default="", help="of ncnn, with ; between them; nothing: all")
    parser.add_argument("configure", nargs="*")
    args = parser.parse_args()
    terminal = Terminal()
    try:
        check_cache(args.prefix.parent)
        with locked(beside(args.prefix, ".lock"), terminal):
            if not args.prefix.exists():  # else another installation has just built it
                build(args, terminal)
    except SetupError as error:
        terminal.show("")
        print(f"ncnn {args.version} could not be built: {error}.", file=sys.stderr)
        log = beside(args.prefix, ".log")
        if log.exists() and log.stat().st_size:
            print(f"All that was printed: {log}", file=sys.stderr)
        return 1
    except OSError as error:
        terminal.show("")
        print(
            f"ncnn {args.version} could not be built: {error.strerror}: {error.filename or args.prefix}",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        terminal.show("ncnn was not built: stopped", "\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
