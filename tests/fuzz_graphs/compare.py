"""One case: a program through every target, into files and back, on every runtime, compared with its meaning."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import ncnn_builder as nb
from ncnn_builder.emit.compile import emit_graph
from ncnn_builder.open_shapes import shape_at
from ncnn_builder.pipeline import lower_and_optimise
from ncnn_builder.sizes import OpenSizeError

from .meaning import DRAWN, FIRST, MORE, Expected, meaning
from .program import Program, build, draw
from .respell import respell

TARGETS = tuple(nb.TARGETS)
REACHED = "reached: "
"""Counts that begin so are of graphs that were compared with an op, on a target, or with a spelling in their file."""


@dataclass(frozen=True)
class Wanted:
    """What is drawn, the inputs, the results, and the graph that has them."""

    what: str
    inputs: dict[str, np.ndarray]
    results: dict[str, Expected]
    graph: nb.Graph
    seed: int

    def once_more(self, name: str) -> Expected:
        """A result with the error that more draws allow."""
        return meaning(self.graph, self.inputs, self.seed, (*DRAWN, *MORE))[name]


@dataclass(frozen=True)
class Case:
    """A program, the draws of its inputs, and how its file is spelled once more (see respell.py)."""

    program: Program
    seed: int
    draws: tuple[str, ...]
    spellings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failure:
    """kind: what went wrong; where: target and runtime; text: what a person wants to read."""

    kind: str
    where: str
    text: str
    files: str = field(default="", compare=False)

    @property
    def signature(self) -> tuple[str, str, str]:
        """The same for the same cause, as far as that can be told: numbers and names are left out."""
        cause = "" if self.kind == "wrong" else re.sub(r"[\d.]+(e[-+]?\d+)?|\[.*?\]|\(.*?\)", "", self.text)[:120]
        return self.kind, self.where, cause


class Found(Exception):
    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.text)
        self.failure = failure


@contextlib.contextmanager
def finding(kind: str, where: str, files: str = "") -> Iterator[None]:
    """Whatever is raised inside is a finding."""
    try:
        yield
    except Found:
        raise
    except Exception as error:
        name = type(error).__name__
        raise Found(Failure(kind, where, f"{name}: {error}".split("\n")[0][:600], files)) from error


class Checker:
    """Checks cases. counts: what was done, compared and left out, for an honest report."""

    def __init__(self, runtimes: Mapping[str, Any], folder: Path) -> None:
        self.runtimes = runtimes
        self.counts: Counter[str] = Counter()
        self.folder = folder
        self._files = folder / "net.param", folder / "net.bin"

    def check(self, case: Case) -> Failure | None:
        """The first thing that is wrong."""
        try:
            self._check(case)
        except Found as found:
            return found.failure
        return None

    def _check(self, case: Case) -> None:
        with finding("build", "the DSL"):
            graph, _ = build(case.program)
        wanted = self._wanted(case, graph)
        self.counts["graphs"] += 1
        any_shape, is_open = any(v.any_shape for v in graph.inputs), any(v.open for v in graph.inputs)
        once = TARGETS[case.seed % len(TARGETS)]  # what every target need not show in every case
        texts: dict[str, nb.EmittedModel] = {}
        for target in TARGETS:
            try:
                with finding("compile", target):
                    lowered = lower_and_optimise(graph, target)
                    model = emit_graph(lowered)
            except Found as found:
                if is_open and _for_its_sizes(found.__cause__):
                    self.counts["refused for open sizes"] += 1  # what cannot be right is an error
                    continue
                raise
            texts[target] = model
            taken, refused = self._by_shape(lowered, wanted)
            self._run(case, graph, model, taken, target)
            self._refused(model, refused, target)
            layers = {line.split(" ", 1)[0] for line in model.param.splitlines()[2:]}
            self.counts.update(f"{REACHED}{target} {op}" for op in layers | {node.spec.type for node in graph.nodes})
            if target == once:
                self._settled(lowered, target)
                self._read_back(graph, model, target)
        if not any_shape and len(texts) == len(TARGETS):
            self._again(case, graph, texts, wanted)

    def _wanted(self, case: Case, graph: nb.Graph) -> list[Wanted]:
        """For each draw and each size."""
        found = []
        for i, kind in enumerate(case.draws):
            inputs = draw(case.program.inputs, kind, case.seed + i)
            with finding("reference", "the interpreter"):
                results = meaning(graph, inputs, case.seed, FIRST)
            found.append(Wanted(f"{kind} inputs", inputs, results, graph, case.seed))
        for i, size in enumerate(case.program.sizes):
            other = case.program.at(size)
            try:
                rebuilt, _ = build(other)
            except nb.BuildError as error:
                if graph.open_sizes:  # which said that it fits all sizes
                    said = f"{dict(size)}: {error}".split("\n")[0]
                    raise Found(Failure("a size", "the DSL", said[:600])) from error
                self.counts["sizes that the program does not take"] += 1
                continue
            inputs = draw(other.inputs, "normal", case.seed + 7 * i)
            results = meaning(rebuilt, inputs, case.seed, FIRST)
            for name, value in graph.outputs.items() if graph.open_sizes else ():
                said, got = shape_at(value.shape, size), results[name].numbers.shape
                if said != got and not (value.producer and value.producer.spec.open_length):
                    raise Found(Failure("a size", "the DSL", f"{dict(size)}: {name} is {said}, and should be {got}"))
            found.append(Wanted(f"inputs of {dict(size)}", inputs, results, rebuilt, case.seed))
        return found

    @staticmethod
    def _by_shape(lowered: nb.Graph, wanted: Sequence[Wanted]) -> tuple[list[Wanted], list[Wanted]]:
        """Those of the shapes that the file states, and the others: a lowering may settle that of an open input."""
        stated = {v.name: v.shape for v in lowered.inputs if not v.open}
        found: tuple[list[Wanted], list[Wanted]] = [], []
        for one in wanted:
            found[any(one.inputs[name].shape != shape for name, shape in stated.items())].append(one)
        return found

    def _refused(self, model: nb.EmittedModel, wanted: Sequence[Wanted], target: str) -> None:
        """What is not of a shape that the file states is an error of our runtime. ncnn itself looks at no shape."""
        if not wanted or "runtime" not in self.runtimes:
            return
        from runtime.errors import InputError

        self._write(model.param, model.bin)
        net = self.runtimes["runtime"](*self._files)
        for one in wanted:
            try:
                net(one.inputs, list(model.outputs))
            except InputError:
                self.counts["sizes that the file refuses"] += 1
            else:
                said = f"{one.what}: run, though the file states the shape of its input"
                raise Found(Failure("run", f"{target} on the runtime", said, model.param))

    def _settled(self, lowered: nb.Graph, target: str) -> None:
        """Compiling what was compiled changes nothing."""
        with finding("compile again", target):
            again = lower_and_optimise(lowered, target)
        before, after = ([n.spec.type for n in g.nodes] for g in (lowered, again))
        if before != after:
            raise Found(Failure("unsettled", target, f"{before} becomes {after}"))

    def _read_back(self, graph: nb.Graph, model: nb.EmittedModel, target: str) -> None:
        """The file is read, and saved as it was."""
        self._write(model.param, model.bin)
        with finding("load", target, model.param):
            read = nb.load(*self._files, shapes=self._shapes(graph))
            again = nb.compile_graph(read, "reference")
        if not any(v.any_shape for v in graph.inputs):
            self._same(again, model.param, model.bin, target)

    def _same(self, again: nb.EmittedModel, text: str, data: bytes, where: str) -> None:
        if (again.param, again.bin) != (text, data):
            raise Found(Failure("bytes", where, "load() and save() give another file", f"{text}\n{again.param}"))

    def _again(
        self,
        case: Case,
        graph: nb.Graph,
        models: Mapping[str, nb.EmittedModel],
        wanted: Sequence[Wanted],
    ) -> None:
        """A file, spelled in another way, for the other targets."""
        source, target = (TARGETS[case.seed // n % len(TARGETS)] for n in (3, 9))
        model, some = models[source], wanted[:1] + wanted[2:][-1:]
        used: set[str] = set()
        text = respell(model.param, case.seed, case.spellings, used, self._shapes(graph))
        self.counts.update(f"{REACHED}respelled {name}" for name in used)
        if text != model.param:
            self.counts["respelled"] += 1
            self._run(case, graph, model, some, f"{source} respelled", text)
        self._write(text, model.bin)
        with finding("load", f"{source} respelled", text):
            read = nb.load(*self._files, shapes=self._shapes(graph))
        where = f"load({source}{' respelled' if text != model.param else ''}) -> {target}"
        with finding("compile", where, text):
            again = nb.compile_graph(read, target)
        if target == "reference":
            saved = [path.with_name(f"again.{path.name}") for path in self._files]
            nb.save(read, *saved)
            if (saved[0].read_text(), saved[1].read_bytes()) != (text, model.bin):
                raise Found(Failure("bytes", where, "load() and save() give another file", saved[0].read_text()))
        self._run(case, graph, again, some, where, taps=False)

    def _run(
        self,
        case: Case,
        graph: nb.Graph,
        model: nb.EmittedModel,
        wanted: Sequence[Wanted],
        where: str,
        text: str | None = None,
        taps: bool = True,
    ) -> None:
        text = model.param if text is None else text
        self._write(text, model.bin)
        blobs = {name: name for name in graph.outputs}
        if taps:
            blobs |= {f"tap {path}": blob for path, blob in model.taps.items()}
        ours = any(line.split(" ", 1)[0] in CUSTOM for line in text.splitlines())
        for runtime, run in self.runtimes.items():
            if runtime == "wheel" and ours:
                continue
            place = f"{where} on the {runtime}"
            with finding("run", place, text):
                net = run(*self._files)
            for one in wanted:
                with finding("run", f"{place}", text):
                    got = net(one.inputs, list(dict.fromkeys(blobs.values())))
                for name in (name for name in one.results if name in blobs):
                    self._compare(got[blobs[name]], one, name, place, text)

    def _compare(self, got: np.ndarray, wanted: Wanted, name: str, place: str, text: str) -> None:
        expected, what = wanted.results[name], f"{name}, {wanted.what}"
        if expected.allowed is not None and _off(got, expected):
            expected = wanted.once_more(name)
        if expected.allowed is None:
            self.counts["results that say nothing"] += 1
            return
        self.counts["results compared"] += 1
        if got.shape != expected.numbers.shape:
            said = f"{what}: shape {list(got.shape)}, expected {list(expected.numbers.shape)}"
            raise Found(Failure("shape", place, said, text))
        if _off(got, expected):
            scale = float(np.abs(expected.numbers).max())
            said = f"{what}: off by {_error(got, expected):.3g} of {scale:.3g}, {expected.allowed:.2g} is allowed"
            raise Found(Failure("wrong", place, said, text))

    def _write(self, param: str, data: bytes) -> None:
        self._files[0].write_text(param)
        self._files[1].write_bytes(data)

    @staticmethod
    def _shapes(graph: nb.Graph) -> dict[str, tuple[int, ...]]:
        return {v.name: v.shape for v in graph.inputs if v.open}


def _for_its_sizes(error: BaseException | None) -> bool:
    """Whether the compiler refuses a graph as its sizes are open: another error of an open graph is a finding."""
    if error is None:
        return False
    said = isinstance(error, OpenSizeError) or (isinstance(error, nb.BuildError) and "for one size only" in str(error))
    return said or _for_its_sizes(error.__cause__)


def _error(got: np.ndarray, expected: Expected) -> float:
    return float(np.abs(got.astype(np.float64) - expected.numbers).max())


def _off(got: np.ndarray, expected: Expected) -> bool:
    """Of another shape, or farther than is allowed, which NaN is as well."""
    assert expected.allowed is not None
    return got.shape != expected.numbers.shape or not _error(got, expected) <= expected.allowed


CUSTOM = frozenset(name for name, spec in nb.registry.items() if spec.custom)


# -- runtimes: (param, bin) -> (inputs, blobs) -> arrays --------------------------------------------------------------


def wheel(param: Path, weights: Path) -> Any:
    """Plain ncnn from PyPI."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.lightmode = False  # any blob can be asked for
    for half in ("packed", "storage", "arithmetic"):
        setattr(net.opt, f"use_fp16_{half}", False)
    if net.load_param(str(param)) or net.load_model(str(weights)):
        raise RuntimeError("it does not load")

    def run(inputs: Mapping[str, np.ndarray], blobs: Sequence[str]) -> dict[str, np.ndarray]:
        extractor = net.create_extractor()
        for name, array in inputs.items():
            if extractor.input(name, ncnn.Mat(array).clone()):
                raise RuntimeError(f"it has no input {name}")
        results = {}
        for blob in blobs:
            code, mat = extractor.extract(blob)
            if code:
                raise RuntimeError(f"extract returns {code}")
            # Its array of an empty Mat (no detections) ends the interpreter.
            results[blob] = np.zeros((0,), np.float32) if mat.empty() else np.array(mat).copy()
        return results

    return run


def own(param: Path, weights: Path) -> Any:
    """Our runtime."""
    from runtime import Net

    net = Net(param, weights, threads=1)
    return lambda inputs, blobs: net.run(inputs, blobs)


def available() -> dict[str, Any]:
    found = {}
    with contextlib.suppress(ImportError):
        import ncnn  # noqa: F401

        found["wheel"] = wheel
    with contextlib.suppress(ImportError):
        import runtime  # noqa: F401

        found["runtime"] = own
    return found


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for files that are written and read at once: in memory, where there is such a one."""
    memory = Path("/dev/shm")
    return tempfile.TemporaryDirectory(prefix="fuzz", dir=memory if memory.is_dir() else None)
