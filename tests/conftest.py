"""What holds for the whole suite: which files are long, and for which reasons a test may be skipped."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path

import pytest

LONG = {
    "test_any_shape",
    "test_build_ncnn",
    "test_android",
    "test_captured",
    "test_checkpoint",
    "test_checkpoint_forks",
    "test_checkpoint_official",
    "test_checkpoint_strangers",
    "test_checkpoint_tools",
    "test_compare",
    "test_controls",
    "test_converters",
    "test_doctor",
    "test_edges",
    "test_examples",
    "test_export",
    "test_export_time",
    "test_faces",
    "test_filters",
    "test_fixed_point",
    "test_frontend",
    "test_fuzz",
    "test_fuzz_graphs",
    "test_fuzz_layers",
    "test_fuzz_param",
    "test_goldens",
    "test_half",
    "test_interrupts",
    "test_isolation",
    "test_layers_at_random",
    "test_load",
    "test_load_weights",
    "test_metrics",
    "test_networks",
    "test_open_sizes",
    "test_ops",
    "test_own_layer",
    "test_params_consumed",
    "test_pickle_bombs",
    "test_pickles_hostile",
    "test_pictures",
    "test_pipeline",
    "test_pnnx",
    "test_precision",
    "test_predecessor",
    "test_program",
    "test_program_errors",
    "test_programs",
    "test_project",
    "test_projector",
    "test_properties",
    "test_restorers",
    "test_rewrite",
    "test_rounding",
    "test_shipped",
    "test_stock",
    "test_studio",
    "test_stylegan",
    "test_sweep",
    "test_torch_functional",
    "test_train_command",
    "test_train_networks",
    "test_training",
    "test_transformers",
    "test_unwritten",
    "test_v2ada",
    "test_v3",
    "test_video",
    "test_wheel",
    "test_wheel_ops",
    "test_without_torch",
}
"""Files that take nine tenths of the time, which `make check` leaves out: some seconds each, or whole networks."""

SKIPS = {
    "no Vulkan device": "drivers are the machine's",
    "ncnn was built with": "-C cmake.define.NCNN_BUILDER_VULKAN=ON or _BF16=ON: what a build without says",
    "ncnn was built without Vulkan": "only -C cmake.define.NCNN_BUILDER_VULKAN=ON builds it",
    "ncnn was built without bf16": "only -C cmake.define.NCNN_BUILDER_BF16=ON builds it",
    "ncnn's list of layers has it OFF": "neither the wheel nor our build has ArgMax and SPP",
    "`make cpp` has not built": "the program stylegan is tested by `make layers-test test`, as CI does it",
    "the pinned source of ncnn is not in the cache": "somebody's own ncnn, by -Dncnn_DIR",
    "no browser to open the studio in": "-m page; `make studio-test` fails instead",
    "nothing was built for the browser": "-m page; `make wasm-test` builds it",
    "a package of real weights is": "-m real runs what is installed; docs/real.md says how",
    "no op was measured": "a selection of tests",
    "docs/operators.md is of the torch that constraints.txt pins": "torch.export of another leaves other operators",
    "matplotlib is not installed": "the extra [plot]; only the extra [dev] brings all that is tested",
    "no JDK here": "the part of examples/android that runs in any Java",
    "make is not installed": "pytest by hand, without the Makefile",
    "the extra [batch] is not installed": "pyarrow and fsspec; what is of neither is tested without them",
    "the extra [ray] is not installed": "it brings a hundred MB; what makes shards is tested without it",
    "the extra [lmdb] is not installed": "databases of LSUN; only the extra [dev] brings all that is tested",
    "the extra [onnx] is not installed": "onnx and onnxruntime; only the extra [dev] brings all that is tested",
    "the extra [studio] is not installed": "starlette and uvicorn; only the extra [dev] brings all that is tested",
    "the extra [video] is not installed": "only the extra [dev] brings all that is tested",
    "the extra [restorers] is not installed": "it needs the torchvision of one build of torch: not in [dev]",
    "reads Linux's /proc": "another system",
    "limits addresses as Linux does": "another system",
    "uses Linux's /proc": "another system",
}
"""Begin of a reason -> why the suite may pass without these tests."""

unlisted: list[str] = []


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of a run have in common."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def pytest_configure() -> None:
    # Several workers share the cores: threads that spin while they wait would take most of the time.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Each core has a worker: torch and numpy with as many threads as cores would stand in each other's way. Nets
        # say themselves with how many they run.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(name, "1")
    # nohup and some CI services start us with SIGINT ignored, which children inherit: tests send it to them.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Long files that a selection leaves out are not even imported: that takes longer than many of the tests."""
    left_out = collection_path.stem in LONG and "not long" in config.option.markexpr
    return True if left_out else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in LONG:
            item.add_marker(pytest.mark.long)


def _look_at(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        line = f"{report.nodeid}: {reason}"
        if not reason.startswith(tuple(SKIPS)) and line not in unlisted:  # each worker collects
            unlisted.append(line)


def pytest_collection_finish() -> None:
    """All that is imported and collected lives to the end: Python's collector need not look at it again and again."""
    gc.collect()
    gc.freeze()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _look_at(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A whole file may be skipped."""
    _look_at(report)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    if unlisted and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in unlisted:
        terminalreporter.write_line(f"SKIPPED WITHOUT A LISTED REASON (tests/conftest.py): {line}", red=True)
