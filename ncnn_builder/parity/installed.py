"""An ncnn that is installed, for who hands in none: our runtime, or the wheel from PyPI in a process of its own."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from ..emit import EmittedModel, write_files
from ..errors import BuildError, ParityError
from ..opspec import registry
from .bisect import Runner
from .runner import runner
from .wheel_process import run_jobs, start

Job: TypeAlias = "tuple[EmittedModel, Mapping[str, Any], Sequence[str]]"
Run: TypeAlias = "tuple[Mapping[str, Any], Sequence[str]]"
"""(inputs, output names)"""
_Result = TypeVar("_Result", bound=Mapping[str, Any])
Batch: TypeAlias = Callable[[EmittedModel, Sequence[Mapping[str, Any]], Sequence[str]], "list[dict[str, Any]]"]
"""(model, several times its inputs, output names) -> outputs of each time."""


def installed_ncnn() -> Batch:
    """Runs emitted models of ncnn's own layers. Raises BuildError, which says what to install, where no ncnn is."""
    try:
        net = getattr(importlib.import_module("runtime"), "Net", None)
    except ImportError:  # not there, or a checkout whose extension is not built
        net = None
    if net is not None:
        return one_by_one(runner(net))
    if importlib.util.find_spec("ncnn") is not None:
        return on_the_wheel
    raise BuildError(
        "no ncnn to run the layers on",
        expected="the package runtime of this project, or the ncnn wheel",
        fix="pip install ncnn, or build the project: pip install .",
    )


@contextmanager
def ncnn_run(model: EmittedModel, runs: Sequence[Run]) -> Iterator[list[Mapping[str, Any]]]:
    """Results of several runs: on ncnn's wheel, which stands for any ncnn, where arrays are read from their files when
    they are asked for; on our runtime for a model with layers of ours or of the user's, which the wheel has not.

    Raises BuildError where that is not installed, ParityError where ncnn reports an error, or breaks off.
    """
    types = (line.split()[0] for line in model.param.splitlines()[2:])
    kinds = {kind for kind in types if kind in registry}
    ours = sorted(kind for kind in kinds if registry[kind].custom)
    outside = sorted(kind for kind in kinds if registry[kind].outside)
    if not ours and not outside:
        with wheel_run([(model, *each) for each in runs]) as results:
            yield _without_errors(results, runs[0][1])
        return
    try:
        net = importlib.import_module("runtime").Net
    except (ImportError, AttributeError):  # not there, or a checkout whose extension is not built
        raise BuildError(
            f"layers that ncnn does not have ({', '.join([*ours, *outside])}), and no runtime that has them",
            expected="the package runtime of this project, by which they are compared with torch",
            fix="pip install . in the project, or target='stock', or convert without the comparison",
        ) from None
    if unknown := sorted(set(outside) - set(importlib.import_module("runtime.net").layer_types())):
        raise BuildError(
            f"layers of your own ({', '.join(unknown)}) that the runtime does not know",
            expected="their library, by which they are compared with torch",
            fix='Call runtime.add_layers("path/to/library.so") first, or convert without the comparison',
        )
    run = runner(net)
    yield [run(model, inputs, list(outputs)) for inputs, outputs in runs]


def _without_errors(results: Sequence[_Result | str], outputs: Sequence[str]) -> list[_Result]:
    failed = next((r for r in results if isinstance(r, str)), None)
    if failed is not None:
        raise ParityError(f"the ncnn wheel fails: {failed}", got=list(outputs))
    return [r for r in results if not isinstance(r, str)]


def expect_jobs() -> None:
    """For who will ask for a run soon: the process of the wheel, where it is installed, starts meanwhile."""
    if importlib.util.find_spec("ncnn") is not None:
        start()


def one_by_one(run: Runner) -> Batch:
    return lambda model, inputs, outputs: [run(model, each, list(outputs)) for each in inputs]


def on_the_wheel(
    model: EmittedModel, inputs: Sequence[Mapping[str, Any]], outputs: Sequence[str]
) -> list[dict[str, Any]]:
    """By the ncnn wheel, all in one process. Raises ParityError where ncnn reports an error, or breaks off."""
    return _without_errors(wheel_results([(model, each, outputs) for each in inputs]), outputs)


def wheel_results(jobs: Sequence[Job]) -> list[dict[str, Any] | str]:
    """What the ncnn wheel makes of models of its own layers, in one other process; a text where it reports an error.

    Raises ParityError where the process breaks off: ncnn ends it for some models. BuildError without the wheel.
    """
    with wheel_run(jobs) as results:
        return [r if isinstance(r, str) else dict(r) for r in results]


@contextmanager
def wheel_run(jobs: Sequence[Job]) -> Iterator[list[Mapping[str, Any] | str]]:
    """The same for who looks at one result after the other: each array is read from its file when it is asked for."""
    if importlib.util.find_spec("ncnn") is None:
        raise BuildError("ncnn's wheel is not installed, by which nets are compared with torch", fix="pip install ncnn")
    with tempfile.TemporaryDirectory() as name, ExitStack() as files:
        folder = Path(name)
        written: dict[int, Path] = {}
        for i, (model, inputs, outputs) in enumerate(jobs):
            job = folder / f"{i:05d}"
            same = written.setdefault(id(model), job)
            if same is job:
                write_files({job.with_suffix(".param"): [model.param.encode()], job.with_suffix(".bin"): [model.bin]})
            else:
                for suffix in (".param", ".bin"):
                    job.with_suffix(suffix).symlink_to(same.with_suffix(suffix))
            arrays: dict[str, Any] = {f"in:{key}": np.ascontiguousarray(array) for key, array in inputs.items()}
            for key, shape in model.inputs.items():  # one more dimension than the blob has is ncnn's batch
                if key in inputs and shape and inputs[key].ndim == len(shape) + 1:
                    arrays[f"batch:{key}"] = arrays.pop(f"in:{key}")
            np.savez(job.with_suffix(".npz"), outputs=np.array(list(outputs)), **arrays)
        run_jobs(folder)
        yield [_result(folder / f"{i:05d}", files) for i in range(len(jobs))]


def _result(job: Path, files: ExitStack) -> Mapping[str, Any] | str:
    error = job.with_suffix(".error")
    if error.exists():
        return error.read_text()
    result: Mapping[str, Any] = files.enter_context(np.load(job.with_suffix(".out.npz")))
    return result
