"""A net under a budget of error: the samples are split, the forms are chosen, and what was not seen is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

from ..emit import write_files
from ..errors import BuildError, NcnnBuilderError
from ..features import mask_of
from .certificate import Facts, certificate, html, page_name
from .data import Pixels, digest, read_samples
from .equalise import equalised
from .forms import FORMS
from .net_files import Blobs, NetFiles, beside, encoded, loaded, masked, ran, read_net_files, runtime, samples_of
from .net_files import unique_names as check_names
from .plan import Planner
from .rescale import beyond, rescaled
from .search import Found, search
from .timing import Device
from .wish import Wish

ENDS = (".param", ".bin", ".json", ".html")
"""Of the files that a name is given to."""
MOST_BYTES = 6 << 30
"""Of all blobs of all calibration samples, which are held."""


@dataclass(frozen=True)
class Quantised:
    """A net that keeps its budget.

    choice       layer -> form, of those that are not fp32
    certificate  what NAME.json holds
    files        name of a file -> its bytes, as they were written or would be
    """

    choice: dict[str, str]
    certificate: dict[str, Any]
    files: dict[str, bytes]

    def __str__(self) -> str:
        c = self.certificate
        counts = {form: list(self.choice.values()).count(form) for form in FORMS if form in self.choice.values()}
        said = ", ".join(f"{n} layers {form}" for form, n in counts.items())
        time, size = c["seconds"], c["bytes"]
        return (
            f"{said} of {len(c['layers'])}; held-out data: {c['held_out']['told']} (budget {c['budget']});"
            f" {1e3 * time['before']:.3g} -> {1e3 * time['after']:.3g} ms, {size['before']} -> {size['after']} bytes"
        )


def quantize_net(
    param: str | PathLike[str],
    data: str | Sequence[Mapping[str, Any]],
    out: str | PathLike[str] | None = None,
    *,
    budget: str = "psnr=40",
    aim: str = "time",
    forms: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    equalise: bool = True,
    correct: bool = True,
    threads: int = 1,
    device: str | PathLike[str] | None = None,
    pixels: Pixels | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Quantised:
    """Choose a form for each layer of a net so that the whole net's measured error keeps a budget.

    Args:
        param: NAME.param, with NAME.bin beside it, in full precision.
        data: samples: FILE.npz, a folder, ``module:function``, see read_samples(); or dicts of arrays, input name ->
            array without batch. Every fourth is held out: the choice does not see it, and the budget is kept on it.
        out: where OUT.param, .bin, .json (the certificate) and .html go, all or none; None writes nothing.
        budget: ``psnr=40``, ``sqnr=30``, ``max=1e-2``, ``relative=1e-2``, ``cosine=0.999``, or
            ``metric=module:function:drop=0.5``, a function of (outputs, samples); several with commas.
        aim: ``time``: the least predicted time, then bytes that cost none; ``size``: the fewest bytes.
        forms: those that may be chosen, of forms.FORMS; None: all.
        methods: rules for where int8 ends, of ``minmax``, ``percentile``, ``kl``, ``mse``; None: all. The one is taken
            with which the layers that read a blob are the nearest.
        equalise: scales of channels are moved between layers where that is exact. correct: biases take up what rounding
            loses in the mean. Both only where they measure better.
        threads: for the times.
        device: the table of measured times, else one in the user's cache; one of another machine is used as it is.
        tell: is called with a line about each step.

    Raises:
        BuildError: bad arguments or data; nothing reaches the budget, with the best that does.
        ReadError: the net's files.
    """
    wish = Wish.parse(budget, aim, forms, methods, equalise=equalise, correct=correct, threads=threads)
    net = read_net_files(param)
    if out is not None:
        read = (net.path, beside(net.path), *((Path(data),) if isinstance(data, str) else ()))
        check_apart([Path(out).with_name(Path(out).name + end) for end in ENDS], read)
    check_names(net)
    samples = read_samples(net, data, pixels) if isinstance(data, str) else [samples_of(net, s) for s in data]
    seen, held = split(samples)
    table = Device(None if device is None else Path(device))
    try:
        found, planner, made = _chosen(net, seen, held, wish, table, tell)
        facts = _facts(net, made, planner, found, seen, held)
    except runtime().NcnnError as error:
        raise NcnnBuilderError(f"{net.path} cannot be run: {error}") from None
    table.save()
    name = Path(out).name if out is not None else f"{net.path.name.removesuffix('.param')}_int8"
    text, weights = encoded(made)
    facts = replace(
        facts,
        command=_command(net.path, data, out, wish),
        data=data if isinstance(data, str) else None,
        sha256={"param": _sha(text), "bin": _sha(weights)},
        source={"param": _sha(net.path.read_bytes()), "bin": _sha(beside(net.path).read_bytes())},
        pixels=None if pixels is None else vars(pixels),
    )
    said = certificate(facts)
    files = {f"{name}.param": text, f"{name}.bin": weights, **page_name(name, said, html(said, name))}
    if out is not None:
        write_files({Path(out).with_name(file): [content] for file, content in files.items()})
    return Quantised(found.choice, said, files)


def check_apart(written: Iterable[Path], read: Iterable[Path]) -> None:
    """Raises BuildError where a file would be written over one that is read."""
    sources = {path.resolve() for path in read}
    for path in written:
        if path.resolve() in sources:
            raise BuildError("this would write over what is read", argument="--out", got=str(path), fix="Name another")


def split(samples: Sequence[Blobs]) -> tuple[list[Blobs], list[Blobs]]:
    """Those that calibration sees, and every fourth, which it does not; the last of fewer."""
    if len(samples) < 2:
        raise BuildError(
            "too few samples",
            argument="--data",
            expected="2 or more: one is held out to prove the result",
            got=len(samples),
        )
    held = [i for i in range(len(samples)) if i % 4 == 3] or [len(samples) - 1]
    return [s for i, s in enumerate(samples) if i not in held], [samples[i] for i in held]


def _chosen(
    net: NetFiles,
    seen: list[Blobs],
    held: list[Blobs],
    wish: Wish,
    device: Device,
    tell: Callable[[str], None],
) -> tuple[Found, Planner, NetFiles]:
    """The choice that keeps the budget on data that it did not see: with less of the budget until it does."""
    _check_memory(net, seen)
    budget = wish.budget
    planner = Planner(net, seen, wish, device, tell)
    within, factors = rescaled(net, planner.ranges())
    if factors:
        tell(f"rescaled for fp16: {', '.join(factors)}")
        planner = _like(planner, within)
    planner.calibrate()
    if wish.equalise and "int8" in wish.forms:
        other = equalised(planner.net, planner.right)
        if other is not None:
            second = _like(planner, other)
            second.calibrate()
            if _all_int8(second) < _all_int8(planner):
                tell("channels are equalised")
                planner = second
    planner.calibration.rescaled = factors
    candidates = planner.candidates()
    here = loaded(net, threads=wish.threads)
    expected = [ran(net, here, sample) for sample in held]
    right = budget.base(expected, held)
    strictness = 1.0
    while True:
        planner.strictness = strictness
        found = search(planner, candidates)
        unseen = budget.measure(planner.run(found.choice, held), expected, held)
        if budget.kept(unseen, right):
            found.unseen = unseen
            return found, planner, _masked(planner, planner.made(found.choice))
        tell(f"on held-out data: {budget.told(unseen)}; again with less of the budget")
        strictness *= max(1.25, min(budget.spent(unseen, right) * 1.1, 4.0))
        if strictness > 1e4:
            raise BuildError(
                "nothing reaches this budget on held-out data",
                argument="--budget",
                expected=budget.text,
                got=budget.told(unseen),
            )


def _like(planner: Planner, net: NetFiles) -> Planner:
    """A planner of the same net with other scales inside."""
    made = Planner(net, planner.samples, planner.wish, planner.device, planner.tell)
    made.expected, made.base = planner.expected, planner.base
    return made


def _all_int8(planner: Planner) -> float:
    """What all layers in int8 spend."""
    choice = {name: "int8" for name, forms in planner.possible.items() if forms.get("int8") == ""}
    return planner.budget.spent(planner.measured(choice), planner.base) if choice else 0.0


def _masked(planner: Planner, made: NetFiles) -> NetFiles:
    """Layers whose numbers fp16 cannot hold are masked: a device's default is fp16, and there they are infinite."""
    ranges = planner.calibration.ranges

    def out(blob: str) -> bool:
        return beyond(ranges.get(planner.net.source(blob), (0.0, 0.0)))

    mask = mask_of(["fp16_arithmetic", "fp16_storage"])
    return made.with_layers(
        [
            masked(la, mask)
            if la.spec.type not in ("Input", "Split") and any(map(out, (*la.inputs, *la.outputs)))
            else la
            for la in made.layers
        ]
    )


def _facts(
    net: NetFiles, made: NetFiles, planner: Planner, found: Found, seen: list[Blobs], held: list[Blobs]
) -> Facts:
    """All that the certificate says, measured on held-out data."""
    assert found.unseen is not None
    blobs = [la.outputs[0] for la in made.layers if la.outputs and la.outputs[0] not in net.inputs]
    threads, device = planner.wish.threads, planner.device
    here = loaded(made, threads=threads)
    scaled = loaded(planner.net, threads=threads)  # the net with equalised channels, whose blobs compare
    right = [ran(planner.net, scaled, s, blobs) for s in held]
    got = [ran(made, here, s, blobs) for s in held]
    seconds = dict(zip(("before", "after"), planner.whole_seconds(found.choice), strict=True))
    sizes = [sum(map(len, encoded(one))) for one in (net, made)]
    return Facts(
        net, made, planner, found, device.name, digest(seen), digest(held), len(seen), len(held),
        right, got, seconds, (sizes[0], sizes[1]),
    )  # fmt: skip


def _check_memory(net: NetFiles, samples: Sequence[Blobs]) -> None:
    here = loaded(net, threads=1)
    once = here.run(samples[0], [b for b in net.producers if b not in net.inputs])
    size = sum(a.nbytes for a in once.values()) * len(samples)
    if size > MOST_BYTES:
        raise BuildError(
            "the blobs of all samples do not fit",
            argument="--data",
            expected=f"{MOST_BYTES >> 20} MB",
            got=f"{size >> 20} MB",
            fix=f"Give {max(2, int(len(samples) * MOST_BYTES / size))} samples",
        )


def _command(net: Path, data: Any, out: Any, wish: Wish) -> str:
    """The command that makes the same files again."""
    words = [f"python -m ncnn_builder quantize {net}", f"--data {data}" if isinstance(data, str) else "--data DATA"]
    return " ".join([*words, *wish.words(), f"--out {out}" if out is not None else "--out OUT"])


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
