"""Two nets, or one with two sets of options, on the same data: which layer differs first, why, and what cures it."""

from __future__ import annotations

import difflib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..doctor.cure import fewest
from ..doctor.options import SWITCHES, Options
from ..emit.layers import Layer
from ..errors import BuildError
from ..features import features_of, mask_of
from .causes import Case, Cause, cause_of
from .halves import OFF, Emulated, Kind
from .int8 import is_int8
from .measures import WORST, Errors, errors_of
from .net_files import Blobs, NetFiles, encoded, loaded, masked, ran, scaled, taken_apart, unique_names
from .onnx_net import OnnxNet
from .onnx_net import counterparts as tensors_of

TRIALS, SECONDS = 60, 30.0
"""What the search for few layers may take: runs of the net, and time."""


@dataclass(frozen=True)
class LayerResult:
    """A layer of the second net. in_net: its first output against that of the first net; alone: the same, where the
    layer reads what the first net has there; None where that is not known."""

    name: str
    type: str
    blob: str
    in_net: Errors
    alone: Errors | None


@dataclass(frozen=True)
class PairCure:
    """What makes the two equal within the tolerance, proven by running it.

    what     "mask" (id 31, with these features off) or "replace" (the first net's layer in place of the second's)
    layers   names
    error    of the cured net
    seconds  a run before and after; bytes: of both files before and after
    """

    what: str
    features: tuple[str, ...]
    mask: int
    layers: tuple[str, ...]
    error: Errors
    seconds: tuple[float, float]
    bytes: tuple[int, int]


@dataclass
class PairDiagnosis:
    """tolerance: of `relative`. unmatched: layers of the second net that the first has no counterpart of. here: the
    error of the options on this machine, where `outputs` are those of emulated 16-bit storage."""

    first: str
    second: str
    options: str
    tolerance: float
    layers: list[LayerResult]
    outputs: Errors
    culprit: LayerResult | None = None
    causes: list[Cause] = field(default_factory=list)
    cure: PairCure | None = None
    sought: bool = False
    unmatched: list[str] = field(default_factory=list)
    here: Errors | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        return self.outputs.relative <= self.tolerance


def counterparts(a: NetFiles, b: NetFiles) -> dict[str, str]:
    """Blob of b -> blob of a that stands for the same: of one name, or at the same place of both nets.

    Copies that Split makes are left out: they are the blob they copy.
    """
    found = {blob: blob for blob in b.producers if blob in a.producers and _shapes_fit(a, b, blob, blob)}
    plain = [[la for la in net.layers if la.spec.type not in ("Split", "Noop") and la.outputs] for net in (a, b)]
    keys = [
        [f"{la.spec.in_files} {len(la.outputs)} {net.shapes.get(la.outputs[0])}" for la in layers]
        for net, layers in zip((a, b), plain, strict=True)
    ]
    for i, j, size in difflib.SequenceMatcher(None, keys[0], keys[1], autojunk=False).get_matching_blocks():
        for one, other in zip(plain[0][i : i + size], plain[1][j : j + size], strict=True):
            for x, y in zip(one.outputs, other.outputs, strict=True):
                if y not in found and x not in found.values():
                    found[y] = x
    left, right = ([o for o in net.outputs if o not in taken] for net, taken in ((a, found.values()), (b, found)))
    if len(left) == len(right):
        found.update((y, x) for x, y in zip(left, right, strict=True) if _shapes_fit(a, b, x, y))
    return found


def _shapes_fit(a: NetFiles, b: NetFiles, x: str, y: str) -> bool:
    one, other = a.shapes.get(x, ()), b.shapes.get(y, ())
    return not one or not other or one == other


def default_tolerance(a: NetFiles | OnnxNet, b: NetFiles, options: Options) -> float:
    """What may be expected of the second net's numbers, relative to a tensor's largest magnitude."""
    found = options.tolerance
    forms = {form for net in (a, b) for la in net.layers for form in la.stored.values()}
    forms |= {"int8" for net in (a, b) for la in net.layers if is_int8(la)}
    return max(
        [found, *(t for form, t in (("fp16", 2e-3), ("bf16", 2e-2), ("table", 2e-2), ("int8", 1e-1)) if form in forms)]
    )


class Pair:
    """What is examined: a is right. emulate: 16-bit storage of a device, in place of running b with the options."""

    def __init__(
        self,
        a: NetFiles | OnnxNet,
        b: NetFiles,
        samples: Sequence[Blobs],
        options: Options,
        tolerance: float | None = None,
    ) -> None:
        unique_names(b)
        if isinstance(a, NetFiles) and set(a.inputs) != set(b.inputs):
            raise BuildError("the nets have other inputs", expected=a.inputs, got=b.inputs)
        self.a, self.b, self.samples, self.options = a, b, samples, options
        self.emulate: Kind | None = "bf16" if options.bf16_storage else "fp16" if options.fp16_storage else None
        if options.vulkan:
            self.emulate = None  # a device that has them
        self.tolerance = default_tolerance(a, b, options) if tolerance is None else tolerance
        plain = Options(threads=options.threads).keywords()
        if isinstance(a, OnnxNet):
            here = loaded(b, **plain)
            made = [{**sample, **ran(b, here, sample, _not_inputs(b, list(b.producers)))} for sample in samples]
            self.known, self.right = tensors_of(b, made, a, [a.run(sample) for sample in samples])
        else:
            self.known, here = counterparts(a, b), loaded(a, **plain)
            wanted = list(dict.fromkeys(x for x in self.known.values() if a.source(x) not in a.inputs))
            self.right = [{**sample, **ran(a, here, sample, wanted)} for sample in samples]
        if not any(o in self.known for o in b.outputs):
            raise BuildError("no output of the second net has a counterpart", expected=a.outputs, got=b.outputs)

    def run(self, net: NetFiles, blobs: Sequence[str]) -> list[Blobs] | str:
        """The blobs of every sample, by the emulation or the options; what the runtime raises is a sentence."""
        try:
            if self.emulate:
                emulated = Emulated(net, self.emulate)
                return [{b: made[b] for b in blobs} for made in map(emulated.run, self.samples)]
            net_here = loaded(net, **self.options.keywords())
            return [{**sample, **ran(net, net_here, sample, _not_inputs(net, blobs))} for sample in self.samples]
        except MemoryError:
            raise
        except Exception as error:  # the runtime has exceptions of its own
            return " ".join(str(error).split()) or type(error).__name__

    def compared(self, got: list[Blobs] | str, blob: str) -> Errors:
        if isinstance(got, str):
            return WORST
        return errors_of([g[blob] for g in got], [r[self.known[blob]] for r in self.right])

    def outputs(self, net: NetFiles) -> Errors:
        """The worst of the outputs that have a counterpart."""
        names = [o for o in net.outputs if o in self.known]
        got = self.run(net, names)
        return max((self.compared(got, name) for name in names), key=lambda e: e.relative)

    def alone(self) -> dict[str, list[list[Any]]]:
        """Layer -> for each sample its outputs, made of what the first net has in front of it."""
        chosen = [la for la in self.b.layers if la.spec.type not in ("Input", "Split") and self._inputs_known(la)]
        found: dict[str, list[list[Any]]] = {}
        emulated = Emulated(self.b, self.emulate) if self.emulate else None
        apart, names = taken_apart(self.b, chosen)
        here = None if emulated else loaded(apart, **self.options.keywords())
        for layer in chosen:
            try:
                found[layer.name] = [
                    emulated.layer(layer, self._given(layer, right))
                    if emulated
                    else _run_alone(here, self.b, layer, names[layer.name], self._given(layer, right))
                    for right in self.right
                ]
            except MemoryError:
                raise
            except Exception:  # it is refused in the net too, which says why
                continue
        return found

    def _inputs_known(self, layer: Layer) -> bool:
        sources = {self.b.source(b) for b in layer.inputs}
        return all(s in self.known for s in sources)

    def _given(self, layer: Layer, right: Blobs) -> list[Any]:
        arrays = [right[self.known[self.b.source(b)]] for b in layer.inputs]
        return [a.astype(np.int32) if layer.spec.integer_input and i == 0 else a for i, a in enumerate(arrays)]

    def counterpart(self, layer: Layer) -> Layer | None:
        """The layer of the first net that makes the same blob."""
        blob = self.known.get(layer.outputs[0]) if layer.outputs else None
        return None if blob is None or isinstance(self.a, OnnxNet) else self.a.producers[blob]

    def case(self, layer: Layer, alone: dict[str, list[list[Any]]]) -> Case:
        one = self.counterpart(layer)
        given = [self._given(layer, right) for right in self.right] if self._inputs_known(layer) else []
        expected = [right[self.known[layer.outputs[0]]] for right in self.right]
        got = [made[0] for made in alone.get(layer.name, [])]
        return Case(
            one, layer, given, expected, got, self.options, self.emulate, self.tolerance, self._trial(layer),
            self._nodes(layer),
        )  # fmt: skip

    def _nodes(self, layer: Layer) -> str:
        """What stands at its place in ONNX."""
        if not isinstance(self.a, OnnxNet) or not self._inputs_known(layer):
            return ""
        return self.a.between([self.known[self.b.source(b)] for b in layer.inputs], self.known[layer.outputs[0]])

    def _trial(self, layer: Layer) -> Callable[[Options], float]:
        """How far the layer alone is off with other options."""

        def trial(options: Options) -> float:
            apart, names = taken_apart(self.b, [layer])
            try:
                here = loaded(apart, **options.keywords())
                got = [_run_alone(here, self.b, layer, names[layer.name], self._given(layer, r))[0] for r in self.right]
            except MemoryError:
                raise
            except Exception:
                return WORST.relative
            return errors_of(got, [r[self.known[layer.outputs[0]]] for r in self.right]).relative

        return trial


def _run_alone(here: Any, net: NetFiles, layer: Layer, names: Sequence[str], given: Sequence[Any]) -> list[Any]:
    made = here.run(dict(zip(names, given, strict=True)), layer.outputs)
    return [scaled(np.array(made[b]), net.unit(b)) for b in layer.outputs]


def _not_inputs(net: NetFiles, blobs: Sequence[str]) -> list[str]:
    return [b for b in blobs if b not in net.inputs]


def examine(
    a: NetFiles | OnnxNet,
    b: NetFiles,
    samples: Sequence[Blobs],
    options: Options | None = None,
    tolerance: float | None = None,
    *,
    price: bool = True,
    cure: bool = True,
) -> PairDiagnosis:
    """What is wrong with b beside a, which is run in full precision.

    samples: input -> array, one or more. options: what b runs with; fp16 and bf16 are emulated storage of 16 bits, as
    a phone has it. tolerance: of the largest difference relative to the largest magnitude, by default what the forms of
    the numbers let expect. price: measures a cure's time too. cure: looks for
    one, which runs the net some dozens of times.

    Raises BuildError for nets that have nothing in common, and what runtime.Net raises where a cannot be run.
    """
    options = options or Options()
    pair = Pair(a, b, samples, options, tolerance)
    got = pair.run(b, [blob for blob in pair.known if blob not in b.inputs])
    alone = pair.alone()
    layers = []
    for layer in b.layers:
        if layer.spec.type in ("Input", "Split") or not layer.outputs or layer.outputs[0] not in pair.known:
            continue
        blob = layer.outputs[0]
        own = alone.get(layer.name)
        single = None
        if own is not None:
            single = errors_of([made[0] for made in own], [right[pair.known[blob]] for right in pair.right])
        layers.append(LayerResult(layer.name, layer.spec.in_files, blob, pair.compared(got, blob), single))
    worst = max((r.in_net for r in layers if r.blob in b.outputs), key=lambda e: e.relative, default=WORST)
    compared = [la for la in b.layers if la.spec.type not in ("Split", "Input") and la.outputs]
    unmatched = [la.name for la in compared if la.outputs[0] not in pair.known]
    found = PairDiagnosis(str(a.path), str(b.path), str(options), pair.tolerance, layers, worst, unmatched=unmatched)
    if isinstance(got, str):
        found.notes.append(f"the runtime refuses the second net: {got}")
    if pair.emulate:
        found.notes.append(f"weights and blobs are rounded to {pair.emulate} between layers, as a device stores them")
        found.here = _here(pair)
    if not found.equal:
        found.culprit = culprit_of(layers, pair.tolerance)
        if found.culprit is not None:
            layer = next(la for la in b.layers if la.name == found.culprit.name)
            found.causes = cause_of(pair.case(layer, alone))
        found.sought = cure
        found.cure = find_cure(pair, layers, price) if cure else None
    return found


def _here(pair: Pair) -> Errors | None:
    """The options on this machine; None where its build does not have them."""
    try:
        net = loaded(pair.b, **pair.options.keywords())
        names = [o for o in pair.b.outputs if o in pair.known]
        got = [ran(pair.b, net, sample, names) for sample in pair.samples]
    except MemoryError:
        raise
    except Exception:
        return None
    return max((pair.compared(got, name) for name in names), key=lambda e: e.relative)


def culprit_of(layers: Sequence[LayerResult], tolerance: float) -> LayerResult | None:
    """The first layer that is off alone; else the first that is off in the net; else the one that adds most."""
    for result in layers:
        if result.alone is not None and result.alone.relative > tolerance:
            return result
    for result in layers:
        if result.in_net.relative > tolerance and (result.alone is None or not result.in_net.finite):
            return result
    return max((r for r in layers if r.alone is not None), key=lambda r: r.alone.relative, default=None)  # type: ignore[union-attr]


def find_cure(pair: Pair, layers: Sequence[LayerResult], price: bool) -> PairCure | None:
    """The fewest layers, of those that are off most, whose mask or replacement makes the outputs equal again."""
    ranked = sorted(
        layers, key=lambda r: max(r.alone.relative if r.alone else 0.0, 0.0 if r.in_net.finite else 1e9), reverse=True
    )
    by_name = {la.name: la for la in pair.b.layers}
    order = [by_name[r.name] for r in ranked if r.alone is None or r.alone.relative > 0]
    if not order:
        return None
    change, what, features = _change(pair)
    if change is None:
        return None
    end = time.perf_counter() + SECONDS

    def cured(chosen: Sequence[Any]) -> NetFiles:
        names = {la.name for la in chosen}
        return pair.b.with_layers([change(la) if la.name in names else la for la in pair.b.layers])

    def cures(chosen: Sequence[Any]) -> bool:
        return pair.outputs(cured(chosen)).relative <= pair.tolerance

    count = 1
    while not cures(order[:count]):
        if count >= len(order):
            return None
        count = min(count * 2, len(order))
    kept = fewest(order[:count], cures, TRIALS, lambda: time.perf_counter() > end)
    fixed = cured(kept)
    seconds = _seconds(pair, fixed) if price else (0.0, 0.0)
    sizes = tuple(sum(map(len, encoded(net))) for net in (pair.b, fixed))
    place = {la.name: i for i, la in enumerate(pair.b.layers)}
    names = tuple(sorted((la.name for la in kept), key=place.__getitem__))
    return PairCure(what, tuple(features), mask_of(features), names, pair.outputs(fixed), seconds, (sizes[0], sizes[1]))


def _change(pair: Pair) -> tuple[Callable[[Layer], Layer] | None, str, list[str]]:
    """How a layer is cured: by the mask, where options are at fault; by the other net's layer, where files are."""
    if pair.emulate:
        bits = OFF[pair.emulate]
        if pair.emulate == "bf16":
            return None, "", []  # ncnn hands a masked layer bf16 numbers as if they were float32
        return (lambda la: masked(la, bits | mask_of(["fp16_arithmetic"]))), "mask", features_of(bits)
    if isinstance(pair.a, OnnxNet):
        return None, "", []  # there is no layer to put in
    if pair.a is pair.b:
        features = [f for s in pair.options.on if (f := SWITCHES[s]) is not None]
        if not features:
            return None, "", []
        mask = mask_of(features)
        return (lambda la: masked(la, mask)), "mask", features_of(mask)

    def other(layer: Layer) -> Layer:
        one = pair.counterpart(layer)
        if one is None or len(one.inputs) != len(layer.inputs) or len(one.outputs) != len(layer.outputs):
            return layer
        return replace(one, name=layer.name, inputs=layer.inputs, outputs=layer.outputs)

    return other, "replace", []


def _seconds(pair: Pair, fixed: NetFiles) -> tuple[float, float]:
    """A run of the net before and after, in turn, here."""
    options = Options(threads=pair.options.threads) if pair.emulate else pair.options
    nets = [(net, loaded(net, **options.keywords())) for net in (pair.b, fixed)]
    times: list[list[float]] = [[], []]
    begin = time.perf_counter()
    while len(times[1]) < 3 or (len(times[1]) < 30 and time.perf_counter() - begin < 0.3):
        for (net, here), own in zip(nets, times, strict=True):
            start = time.perf_counter()
            here.run(pair.samples[0], net.outputs)
            own.append(time.perf_counter() - start)
    before, after = (statistics.median(t[1:]) for t in times)
    return before, after
