"""The whole examination: torch, ncnn in the chain, every module alone, the cause, the cure."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..errors import NcnnBuilderError, ParityError
from ..ir import Graph, Value
from ..parity import Comparison, interpret, module_graph, module_paths
from ..parity.runner import NetClass
from ..parity.taps import called
from .case import Case, guarded
from .causes import Cause, find_cause, guilty_step
from .cure import Cure, find_cure
from .lab import Lab
from .lines import suspect
from .options import Options
from .text import as_text
from .trace import Trace, close, everything_of, trace


@dataclass
class ModuleResult:
    """One result of one module.

    path      tap path, such as ``synthesis.b8.conv0``
    chained   the whole net on the case's inputs, against torch
    isolated  this module alone, fed with torch's own inputs; None where it cannot be (the note says why)
    expected  what torch's module returned; got: what it is in the whole net on ncnn, None where the net does not run
    note      what there is to say besides
    """

    path: str
    chained: Comparison
    isolated: Comparison | None
    expected: Any = field(repr=False)
    got: Any = field(repr=False)
    note: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the results of the whole net are equal here."""
        return self.chained.ok


@dataclass
class Diagnosis:
    """What was found.

    modules     every compared result, in the order of computation
    skipped     tap paths that are no modules of torch, and were not compared
    culprit     path of the first module that differs by itself, else of the first that differs; None: all is equal
    cause, cure why, and the masks that make it equal (None where masks are no cure)
    seconds     how long it took
    """

    name: str
    target: str
    options: Options
    tolerance: float
    modules: list[ModuleResult] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    culprit: str | None = None
    cause: Cause | None = None
    cure: Cure | None = None
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        return all(m.ok for m in self.modules) and bool(self.modules)

    @property
    def required(self) -> float:
        """The tolerance that the whole net would need."""
        return max((m.chained.required for m in self.modules), default=float("inf"))

    def check(self) -> Diagnosis:
        """For tests: raises ParityError, with the whole text, unless everything is equal."""
        if not self.equal:
            raise ParityError(f"{self.name} differs from torch, target {self.target}:\n{self}")
        return self

    def __str__(self) -> str:
        return as_text(self)


Observer = Callable[[ModuleResult], None]
"""Told of each result as soon as it is there."""


def diagnose(
    case: Case,
    net: NetClass,
    target: str = "fused",
    options: Options | None = None,
    tolerance: float | None = None,
    observe: Observer | None = None,
) -> Diagnosis:
    """Compare a module's export with its forward(), module by module, and find out what is wrong.

    net: the runtime's class, runtime.Net or one with the same arguments. target: one of ncnn_builder.TARGETS. options:
    those that the app runs with. tolerance: of each tensor's largest magnitude; by default what the options allow.
    Raises NcnnBuilderError for a case that cannot be examined: export_ncnn() or forward() raises, a tapped module
    does not run, the target is unknown.
    """
    return _Examination(case, net, target, options or Options(), tolerance, observe).run()


@dataclass(frozen=True)
class _Glue:
    """A value made by a module's own code and given to a module inside, that differs from what torch gives it."""

    value: Value
    to: str
    what: str


class _Examination:
    def __init__(
        self,
        case: Case,
        net: NetClass,
        target: str,
        options: Options,
        tolerance: float | None,
        observe: Observer | None,
    ) -> None:
        self.begin = time.perf_counter()
        self.case, self.options, self.observe = case, options, observe
        self.lab = Lab(net, target, options.tolerance if tolerance is None else tolerance)
        self.graph: Graph = guarded("export_ncnn()", case.build)
        self.torch: Trace = trace(case, self.graph, self.lab.tolerance)
        self.forced = self._forced(None)
        self.glue: list[_Glue] = []
        self.diagnosis = Diagnosis(case.prefix, target, options, self.lab.tolerance, skipped=self.torch.missing)

    def run(self) -> Diagnosis:
        d, expected = self.diagnosis, self.torch.outputs
        lowered: Graph | None = None
        failure: Cause | None = None
        try:
            lowered = self.lab.lowered(self.graph)
        except NcnnBuilderError as error:
            lowered, failure = guilty_step(self.lab, self.graph, self.case.inputs, expected)
            if failure is None:
                raise error
        got = self.lab.attempt(lowered, self.case.inputs, self.options) if lowered else str(failure and failure.what)
        chained = self.lab.compare(got, expected)
        suspects: list[str] = []
        for path, taps in module_paths(self.graph).items():
            taps = [tap for tap in taps if tap in expected]
            alone, note = self._isolated(path) if taps else ({}, None)
            for tap in taps:
                numbers = None if isinstance(got, str) else got.get(tap)
                call = self.torch.calls[path]
                if note is None and call != called(path)[1]:
                    note = f"compared with call {call} of forward()'s"
                result = ModuleResult(tap, chained[tap], alone.get(tap), expected[tap], numbers, note)
                d.modules.append(result)
                if self.observe:
                    self.observe(result)
            if any(not chained[tap].ok and tap in alone and not alone[tap].ok for tap in taps):
                suspects.append(path)
        if not d.modules:
            raise ParityError("nothing can be compared: no module of the graph is one of torch", got=d.skipped)
        if not d.equal:
            self._explain(suspects, lowered, failure)
        d.seconds = time.perf_counter() - self.begin
        return d

    def _forced(self, but: str | None) -> dict[Value, Any]:
        """The graph's values by the references of its ops, with torch's results in place of those of modules."""
        own = {self.graph.taps[tap] for tap in module_paths(self.graph).get(but or "", [])}
        known: dict[Value, Any] = {}
        for tap, array in self.torch.outputs.items():
            value = self.graph.taps[tap]
            if value not in own and value.producer is not None:
                known.setdefault(value, array)
        return interpret(self.graph, self.case.inputs, forced=known)

    def _isolated(self, path: str) -> tuple[dict[str, Comparison], str | None]:
        """The module alone, on torch's inputs: tap -> comparison, and a note."""
        expected = {tap: array for tap, array in self.torch.outputs.items() if tap in module_paths(self.graph)[path]}
        got: Mapping[str, Any] | str
        try:
            alone, sources = module_graph(self.graph, path)
        except ParityError:
            got = {tap: self.forced[self.graph.taps[tap]] for tap in expected}
            return self.lab.compare(got, expected), None  # it gives back what it was given
        feeds, fits = self._feeds(path, sources)
        if not fits:
            return {}, self.glue[-1].what
        try:
            got = self.lab.attempt(self.lab.lowered(alone), feeds, self.options)
        except NcnnBuilderError as error:
            got = str(error)
        return self.lab.compare(got, {tap: expected[tap] for tap in alone.taps if tap in expected}), None

    def _feeds(self, path: str, sources: Mapping[str, Value]) -> tuple[dict[str, Any], bool]:
        """Torch's inputs of a module by the inputs of its graph; False where one has not the shape of torch's."""
        given = list(self.torch.inputs.get(path, []))
        feeds = {name: self.forced[value] for name, value in sources.items()}
        tapped, open_ = set(self.graph.taps.values()), []
        for name, value in sources.items():
            i = next((i for i, t in enumerate(given) if close(feeds[name], t, self.lab.tolerance)), None)
            if i is not None:
                given.pop(i)
            elif value.producer is not None and value.producer.inputs and value.data is None and value not in tapped:
                open_.append(name)
        for name in open_:
            array, value = feeds[name], sources[name]
            same = [t for t in given if t.shape == array.shape]
            other = [t for t in given if t.ndim == array.ndim and t.shape != array.shape]
            if len(same) == 1:
                required = np.abs(array - same[0]).max() / max(float(np.abs(same[0]).max()), 1e-30)
                self.glue.append(_Glue(value, path, f"what it gives to {path} differs from torch's by {required:.1e}"))
                feeds[name] = same[0]
            elif not same and len(other) == 1 and len(open_) == 1:
                shapes = f"shape {list(array.shape)}, torch's has {list(other[0].shape)}"
                self.glue.append(_Glue(value, path, f"what it gives to {path} has {shapes}"))
                return feeds, False
        for name, value in sources.items():
            if value.producer is None:  # as it was given, for one of whole numbers
                feeds[name] = self.case.inputs[value.name]
        return feeds, True

    def _explain(self, suspects: list[str], lowered: Graph | None, failure: Cause | None) -> None:
        d = self.diagnosis
        first = next(m.path for m in d.modules if not m.ok)
        first = next(path for path, taps in module_paths(self.graph).items() if first in taps)
        d.culprit = suspects[0] if suspects else first
        if not any(n.scope == d.culprit or n.scope.startswith(f"{d.culprit}.") for n in self.graph.nodes):
            d.cause = Cause("export", "export_ncnn() gives back what it was given, and forward() does not")
            return
        if suspects:
            alone, sources = module_graph(self.graph, d.culprit)
            expected = {tap: self.torch.outputs[tap] for tap in alone.taps}
            d.cause = find_cause(self.lab, alone, self._feeds(d.culprit, sources)[0], expected, self.options)
        else:
            d.cause = failure or find_cause(self.lab, self.graph, self.case.inputs, self.torch.outputs, self.options)
        if d.cause.kind == "export":
            d.cause = self._line(d.culprit, d.cause)
        if d.cause.kind == "option" and lowered is not None:
            d.cure = find_cure(
                self.lab, lowered, self.case.inputs, self.torch.outputs, self.options, d.cause.switches, d.culprit
            )
            if d.cure and d.cure.layers and d.cause.source is None:
                d.cause = replace(d.cause, source=d.cure.layers[0].source)

    def _swapped(self, path: str) -> tuple[Value, Value] | None:
        """Two inputs of a module of one shape, with which exchanged it is right."""
        alone, sources = module_graph(self.graph, path)
        feeds = self._feeds(path, sources)[0]
        expected = {tap: self.torch.outputs[tap] for tap in alone.taps}
        for a, b in itertools.islice(itertools.combinations(sources, 2), 10):
            if feeds[a].shape == feeds[b].shape and not np.array_equal(feeds[a], feeds[b]):
                values = interpret(alone, {**feeds, a: feeds[b], b: feeds[a]})
                if self.lab.equal({tap: values[value] for tap, value in alone.taps.items()}, expected):
                    return sources[a], sources[b]
        return None

    def _line(self, path: str, cause: Cause) -> Cause:
        glue = next((g for g in self.glue if g.value.producer and g.value.producer.scope == path), None)
        if glue is not None and glue.value.producer is not None:
            node = glue.value.producer
            return replace(cause, what=f"{cause.what}: {glue.what}", name=node.name, source=node.source)
        swapped = self._swapped(path)
        if swapped is not None:
            a, b = swapped
            maker = max(
                (node for node, _ in (*a.uses, *b.uses) if node.scope.startswith(path)), key=self.graph.nodes.index
            )
            what = f"{cause.what}; it is right with {a.name} and {b.name} exchanged, in its code or where it is called"
            return replace(cause, what=what, name=maker.name, source=maker.source)
        made = everything_of(self.case, path, self.torch.calls[path])
        found = suspect(self.graph, path, self._forced(path), made, self.lab.tolerance)
        what = f"{cause.what}; {found.node.spec.type} at {found.node.source}: {found.what}"
        return replace(cause, what=what, name=found.node.name, source=found.node.source)
