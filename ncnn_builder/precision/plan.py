"""A form for each layer: what each costs alone, measured, and the net that a choice makes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..emit.foreign import QUANTISED
from ..emit.layers import Layer
from .budget import Measured
from .calibrate import thresholds
from .forms import COMPUTED, Int8, forms_of, in_form
from .int8 import CALIBRATED, STEPS, is_int8, winograd
from .net_files import Blobs, NetFiles, encoded, loaded, ran, taken_apart
from .timing import Device, key_of
from .wish import Wish


@dataclass(frozen=True)
class Candidate:
    """A layer in a form, alone in the net.

    spent    part of the budget, see Budget.spent()
    error    of the outputs, on the calibration data
    seconds  that the form saves beside fp32, of the layer alone; bytes: likewise, of both files
    before   seconds of the layer in fp32, where they were measured
    """

    layer: str
    form: str
    spent: float
    error: Measured
    seconds: float
    bytes: int
    before: float = 0.0


@dataclass
class Calibration:
    """What the samples say: blobs -> their numbers, layer -> how it becomes int8, blob -> where int8 ends and by which
    rule. rescaled: layer -> by what its result is, which the next takes back."""

    int8: dict[str, Int8] = field(default_factory=dict)
    ends: dict[str, tuple[str, float]] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    rescaled: dict[str, float] = field(default_factory=dict)


class Planner:
    """A net, its calibration data and what is wished for. tell: is called with a line of what is done."""

    def __init__(
        self,
        net: NetFiles,
        samples: Sequence[Blobs],
        wish: Wish,
        device: Device,
        tell: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.net, self.samples, self.wish, self.device, self.tell = net, list(samples), wish, device, tell
        self.budget, self.threads = wish.budget, wish.threads
        self.strictness = 1.0  # by how much less of the budget may be spent on these samples
        self.layers = {la.name: la for la in net.layers}
        here = loaded(net, threads=wish.threads)
        blobs = list(dict.fromkeys(net.source(b) for la in net.layers for b in (*la.inputs, *la.outputs)))
        wanted = [*(b for b in blobs if b not in net.inputs), *net.outputs]
        self.right = [{**sample, **ran(net, here, sample, list(dict.fromkeys(wanted)))} for sample in self.samples]
        self.expected = [{o: run[o] for o in net.outputs} for run in self.right]
        self.base = wish.budget.base(self.expected, self.samples)
        self.possible = {la.name: forms_of(la, wish.forms) for la in net.layers}
        self.calibration = Calibration()
        self.found: list[Candidate] = []
        self.bytes = sum(map(len, encoded(net)))

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Blob -> its least and largest magnitude, zeros left out."""
        found = {}
        for blob in self.right[0]:
            arrays = [run[blob] for run in self.right]
            if arrays[0].dtype == np.float32:
                sizes = [np.abs(a[a != 0]) for a in arrays]
                least = min((float(s.min()) for s in sizes if s.size), default=0.0)
                found[blob] = (least, max((float(s.max()) for s in sizes if s.size), default=0.0))
        return found

    def calibrate(self) -> None:
        """Where int8 ends for every blob that a layer may read as int8, and how each layer becomes int8.

        Of the ends that the rules give, each blob gets the one with which its readers' results are the nearest.
        """
        self.calibration.ranges = self.ranges()
        readers: dict[str, list[Layer]] = {}
        for layer in self.net.layers:
            if self.possible[layer.name].get("int8") == "":
                if layer.spec.type in CALIBRATED:
                    readers.setdefault(self.net.source(layer.inputs[0]), []).append(layer)
                else:
                    self.calibration.int8[layer.name] = Int8()
        for number, (blob, own) in enumerate(readers.items()):
            self.tell(f"calibrating {number + 1} of {len(readers)}: {blob}")
            self._calibrate(blob, own)

    def _calibrate(self, blob: str, readers: Sequence[Layer]) -> None:
        arrays = [run[blob] for run in self.right]
        ends = {m: end for m, end in thresholds(arrays, self.wish.methods).items() if end > 0}
        if not ends:  # a blob of zeros, of which nothing is known
            for layer in readers:
                self.possible[layer.name]["int8"] = "its input is zero on all samples"
            return
        errors = dict.fromkeys(ends, 0.0)
        reaches = {layer.name: _reach(layer, arrays) for layer in readers}
        for layer in readers:
            made = {
                m: in_form(layer, "int8", Int8(STEPS / end, _steps(reaches[layer.name], end)))
                for m, end in ends.items()
            }
            for m, error in self._alone(layer, made).items():
                errors[m] += error
        best = min(ends, key=lambda m: (errors[m], list(ends).index(m)))
        self.calibration.ends[blob] = (best, ends[best])
        for layer in readers:
            int8 = Int8(STEPS / ends[best], _steps(reaches[layer.name], ends[best]))
            self.calibration.int8[layer.name] = self._corrected(layer, int8) if self.wish.correct else int8

    def _alone(self, layer: Layer, made: Mapping[str, Layer]) -> dict[str, float]:
        """Squared errors of a layer in several forms on what the net has there, relative to its result."""
        total = dict.fromkeys(made, 0.0)
        for run, results in zip(self.right, self._results(layer, list(made.values())), strict=True):
            right = run[self.net.source(layer.outputs[0])].astype(np.float64)
            energy = float((right**2).mean()) or 1.0
            for name, got in zip(made, results, strict=True):
                total[name] += float(((got - right) ** 2).mean()) / energy
        return total

    def _results(self, layer: Layer, made: Sequence[Layer]) -> list[list[Any]]:
        """For each sample the first output of each of these layers, on what the net has in front of `layer`."""
        copies = [
            replace(one, name=f"{one.name}_{i}", outputs=[f"{b}_{i}" for b in one.outputs])
            for i, one in enumerate(made)
        ]
        apart, names = taken_apart(self.net, copies)
        here = loaded(apart, threads=self.threads)
        found = []
        for run in self.right:
            given = self._given(layer, run)
            inputs = {n: g for one in copies for n, g in zip(names[one.name], given, strict=True)}
            made_now = here.run(inputs, [one.outputs[0] for one in copies])
            found.append([np.array(made_now[one.outputs[0]]) for one in copies])
        return found

    def _given(self, layer: Layer, run: Blobs) -> list[Any]:
        arrays = [run[self.net.source(b)] for b in layer.inputs]
        return [a.astype(np.int32) if layer.spec.integer_input and i == 0 else a for i, a in enumerate(arrays)]

    def _corrected(self, layer: Layer, int8: Int8) -> Int8:
        """With what the mean of each channel loses given back by the bias: measured before the activation."""
        bare = replace(layer, params={**layer.params, "activation_type": 0, "activation_params": ()}, line=None)
        total: Any = 0.0
        count = 0
        for right, got in self._results(layer, [bare, in_form(bare, "int8", int8)]):
            if right.ndim == 1:
                difference, n = right.astype(np.float64) - got, 1
            elif layer.spec.type == "InnerProduct":
                difference, n = (right.astype(np.float64) - got).sum(axis=0), right.shape[0]
            else:
                difference = (right.astype(np.float64) - got).reshape(len(right), -1).sum(axis=1)
                n = right[0].size
            total, count = total + difference, count + n
        tried = replace(int8, correction=(total / count).astype(np.float32))
        errors = self._alone(layer, {"": in_form(layer, "int8", int8), "bias": in_form(layer, "int8", tried)})
        return tried if errors["bias"] < errors[""] else int8

    def made(self, choice: Mapping[str, str]) -> NetFiles:
        """The net with these layers in these forms; int8 is handed on as int8 where all readers take it."""
        layers = [
            in_form(la, choice.get(la.name, "fp32"), self.calibration.int8.get(la.name)) for la in self.net.layers
        ]
        return handed_on(self.net.with_layers(layers))

    def run(self, choice: Mapping[str, str], samples: Sequence[Blobs] | None = None) -> list[Blobs]:
        """The outputs of the net in these forms. Raises what runtime.Net raises."""
        net = self.made(choice)
        here = loaded(net, threads=self.threads)
        return [ran(net, here, sample) for sample in (self.samples if samples is None else samples)]

    def measured(self, choice: Mapping[str, str]) -> Measured:
        return self.budget.measure(self.run(choice), self.expected, self.samples)

    def candidates(self) -> list[Candidate]:
        """Every layer in every form that it can have, alone, measured."""
        found = []
        pairs = [
            (name, form)
            for name, forms in self.possible.items()
            for form, why in forms.items()
            if form != "fp32" and not why
        ]
        for number, (name, form) in enumerate(pairs):
            self.tell(f"measuring {number + 1} of {len(pairs)}: {name} in {form}")
            error = self.measured({name: form})
            spent = self.budget.spent(error, self.base)
            size = sum(map(len, encoded(self.made({name: form}))))
            before, after = self.seconds(name, ("fp32", form)) if form in COMPUTED else (0.0, 0.0)
            found.append(Candidate(name, form, max(spent, 0.0), error, before - after, self.bytes - size, before))
        self.device.save()
        self.found = found
        return found

    def alone_of(self, name: str) -> list[Candidate]:
        """The candidates of a layer that were measured."""
        return [c for c in self.found if c.layer == name]

    def whole_seconds(self, choice: Mapping[str, str]) -> tuple[float, float]:
        """Of a run of the net as it is and in these forms, by the table of the device, or measured in turn.

        Weights that are widened when the file is loaded cost no time: the layer then is as it was.
        """
        computed = {name: form for name, form in choice.items() if form in COMPUTED}
        nets = self.made({}), self.made(computed)
        shapes = " ".join(f"{a.shape}" for a in self.samples[0].values())
        keys = [
            f"net {self.threads} {shapes} {hashlib.sha256(b''.join(encoded(net))).hexdigest()[:24]}" for net in nets
        ]
        here = {key: _Run(net, self.samples[0], self.threads) for key, net in zip(keys, nets, strict=True)}
        times = dict(zip(here, self.device(here, self.threads), strict=True))
        return times[keys[0]], times[keys[1]]

    def seconds(self, name: str, forms: Sequence[str]) -> list[float]:
        """Of the layer alone in each of these forms, by the table of the device, or measured in turn."""
        layer = self.layers[name]
        given = self._given(layer, self.right[0])
        here = {}
        for form in forms:
            apart, names = taken_apart(self.net, [in_form(layer, form, self.calibration.int8.get(name))])
            inputs = dict(zip(names[name], given, strict=True))
            here[key_of(layer, [g.shape for g in given], form, self.threads)] = _Run(apart, inputs, self.threads)
        return self.device(here, self.threads)


class _Run:
    """A run of a net, which is loaded at the first one."""

    def __init__(self, net: NetFiles, sample: Blobs, threads: int) -> None:
        self.net, self.sample, self.threads = net, sample, threads
        self.here: Any = None

    def __call__(self) -> None:
        if self.here is None:
            self.here = loaded(self.net, threads=self.threads)
        self.here.run(self.sample, self.net.outputs)


def _reach(layer: Layer, arrays: Sequence[Any]) -> float | None:
    """Of a convolution by Winograd's transform the largest Euclidean length of the numbers of one result."""
    if not winograd(layer):
        return None
    largest = 0.0
    for array in arrays:
        energy = (array.astype(np.float64) ** 2).sum(axis=0)
        padded = np.pad(energy, 2)
        rows = padded[:-2] + padded[1:-1] + padded[2:]
        largest = max(largest, float((rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]).max()))
    return float(np.sqrt(largest))


def _steps(reach: float | None, end: float) -> float | None:
    """The reach in steps, with half as much again for data that calibration does not see."""
    return None if reach is None else 1.5 * reach * STEPS / end


def handed_on(net: NetFiles) -> NetFiles:
    """Results go on as int8 where every reader is a convolution in int8 with one scale: nothing is rounded twice."""
    readers: dict[str, list[Layer]] = {}
    for layer in net.layers:
        if layer.spec.type != "Split":
            for blob in layer.inputs:
                readers.setdefault(net.source(blob), []).append(layer)
    copies = {blob for la in net.layers if la.spec.type == "Split" for blob in la.outputs}
    ends = {net.source(blob) for blob in net.outputs}
    layers = []
    for layer in net.layers:
        blob = layer.outputs[0] if layer.outputs else ""
        own = readers.get(blob, [])
        scales = {float(la.weights["input_scale"][0]) for la in own if _takes_int8(la)}
        if _takes_int8(layer) and own and all(map(_takes_int8, own)) and len(scales) == 1 and blob not in ends | copies:
            layer = _hands_on(layer, scales.pop())
        layers.append(layer)
    return net.with_layers(layers)


def _takes_int8(layer: Layer) -> bool:
    return is_int8(layer) and layer.spec.in_files in ("Convolution", "ConvolutionDepthWise")


def _hands_on(layer: Layer, scale: float) -> Layer:
    spec: Any = layer.spec
    if layer.params[spec.term] > 100:
        return layer
    weights = {**layer.weights, "output_scale": np.array([scale], np.float32)}
    assert spec.in_files in QUANTISED
    return replace(layer, params={**layer.params, spec.term: layer.params[spec.term] + 100}, weights=weights)
