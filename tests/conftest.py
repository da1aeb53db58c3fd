"""What holds for the whole suite: a test is skipped for a reason that stands here, or the suite fails."""

from __future__ import annotations

import signal

import pytest

SKIPS = {
    "no Vulkan device": "drivers are the machine's",
    "ncnn was built with": "-C cmake.define.NCNN_BUILDER_VULKAN=ON or _BF16=ON: what a build without says",
    "ncnn was built without bf16": "only -C cmake.define.NCNN_BUILDER_BF16=ON builds it",
    "ncnn's list of layers has it OFF": "neither the wheel nor our build has ArgMax and SPP",
    "`make cpp` has not built": "the program stylegan is tested by `make layers-test test`, as CI does it",
    "the pinned source of ncnn is not in the cache": "somebody's own ncnn, by -Dncnn_DIR",
    "no op was measured": "a selection of tests",
    "matplotlib is not installed": "the extra [bench]",
    "the extra [video] is not installed": "only the extra [dev] brings all that is tested",
    "reads Linux's /proc": "another system",
    "limits addresses as Linux does": "another system",
    "uses Linux's /proc": "another system",
}
"""Begin of a reason -> why the suite may pass without these tests."""

unlisted: list[str] = []


def pytest_configure() -> None:
    # nohup and some CI services start us with SIGINT ignored, which children inherit: tests send it to them.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if not reason.startswith(tuple(SKIPS)):
            unlisted.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if unlisted and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in unlisted:
        terminalreporter.write_line(f"SKIPPED WITHOUT A LISTED REASON (tests/conftest.py): {line}", red=True)
