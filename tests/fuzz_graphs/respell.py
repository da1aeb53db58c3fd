"""The same net, as other files would say it: parameters at their defaults left out, arrays in ncnn's other form, axes
counted from the end, numbers in other digits, layers in another order. What ncnn computes does not change."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import ncnn_builder as nb
from ncnn_builder.builder import filled
from ncnn_builder.opspec import OpSpec, Param

SPELLINGS = ("defaults", "arrays", "axes", "digits", "order", "counts")

AXES = {
    "Concat": ("axis",),
    "Slice": ("axis",),
    "Softmax": ("axis",),
    "Reduction": ("axes",),
    "Crop": ("axes",),
    "CumulativeSum": ("axis",),
    "GLU": ("axis",),
    "Squeeze": ("axes",),
}
"""Parameters that ncnn counts from the end as well: `if (axis < 0) axis += dims` in each of these layers."""


def respell(text: str, seed: int, spellings: Sequence[str]) -> str:
    """The text in other words; a spelling acts on about half of the places that it could."""
    if not spellings:
        return text
    rng = random.Random(seed)
    head, counts, *lines = text.splitlines()
    ranks: dict[str, int] = {}
    made = [_line(line, rng, spellings) for line in lines]
    del ranks
    if "order" in spellings and rng.random() < 0.5:
        made = _reordered(made, rng)
    return "\n".join([head, counts, *made]) + "\n"


def _line(line: str, rng: random.Random, spellings: Sequence[str]) -> str:
    words = line.split()
    spec = nb.registry.get(words[0])
    n = 4 + int(words[2]) + int(words[3])
    if spec is None or len(words) == n:
        return line
    by_id = {p.id: p for p in spec.params}
    given = {}
    for word in words[n:]:
        key, _, value = word.partition("=")
        number = int(key) if int(key) > -23300 else -23300 - int(key)
        given[number] = value.split(",")[1:] if int(key) <= -23300 else [value]
    entries = []
    for number, values in given.items():
        param = by_id.get(number)
        if param is None:
            entries.append(f"{number}={values[0]}")
            continue
        if "defaults" in spellings and rng.random() < 0.6 and _is_default(spec, param, given):
            continue
        if "digits" in spellings and param.kind in ("float", "floats"):
            values = [_digits(v, rng) for v in values]
        if param.kind in ("ints", "floats"):
            other = "arrays" in spellings and values and rng.random() < 0.5
            short = f"{number}={','.join(values)}{',' if len(values) == 1 else ''}"
            entries.append(short if other else f"{-23300 - number}={','.join([str(len(values)), *values])}")
        else:
            entries.append(f"{number}={values[0]}")
    if "order" in spellings and rng.random() < 0.3:
        rng.shuffle(entries)
    return " ".join([*words[:n], *entries])


def _typed(param: Param, values: list[str]) -> Any:
    kind: Any = int if param.kind in ("int", "ints") else float
    found = tuple(kind(v) for v in values)
    return found if param.kind in ("ints", "floats") else found[0]


def _is_default(spec: OpSpec, param: Param, given: dict[int, list[str]]) -> bool:
    """Whether the layer has the same number where the file leaves this one out."""
    params = {p.name: _typed(p, given[p.id]) for p in spec.params if p.id in given}
    without = {name: value for name, value in params.items() if name != param.name}
    default = filled(spec, **without)[param.name]
    said = params[param.name]
    if isinstance(default, float) and not isinstance(said, tuple):
        import numpy as np

        return bool(np.float32(default) == np.float32(said))
    return bool(default == said)


def _digits(word: str, rng: random.Random) -> str:
    """A float with the same bits in other digits, which still has a point or an exponent."""
    if rng.random() < 0.5:
        return word
    import numpy as np

    short = str(np.float32(word))
    if "." not in short and "e" not in short:
        return word
    return short if len(short) <= 15 and np.float32(short) == np.float32(word) else word


def _reordered(lines: list[str], rng: random.Random) -> list[str]:
    """Another order in which every blob is made before it is read."""
    waiting, made, found = list(lines), set(), []
    while waiting:
        ready = [i for i, line in enumerate(waiting) if made.issuperset(_blobs(line)[0])]
        line = waiting.pop(rng.choice(ready))
        made.update(_blobs(line)[1])
        found.append(line)
    return found


def _blobs(line: str) -> tuple[list[str], list[str]]:
    words = line.split()
    n_in, n_out = int(words[2]), int(words[3])
    return words[4 : 4 + n_in], words[4 + n_in : 4 + n_in + n_out]
