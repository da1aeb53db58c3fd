"""The same net, as other files would say it. What ncnn computes does not change, nor does the .bin file."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import ncnn_builder as nb
from ncnn_builder.builder import filled
from ncnn_builder.emit.shapes import infer_shapes
from ncnn_builder.emit.syntax import OLD_ARRAY
from ncnn_builder.emit.text import read_param
from ncnn_builder.opspec import OpSpec, Param

Shapes = Mapping[str, tuple[int, ...]]

SPELLINGS = {
    "defaults": "parameters at their defaults are left out",
    "arrays": "ID=a,b instead of -233ID=2,a,b",
    "axes": "axes count from the end",
    "reshapes": "-1 and 0 in shapes",
    "digits": "floats in fewer digits",
    "order": "layers in another order, parameters too",
    "names": "layers of one name",
    "counts": "more blobs stated than there are",
}

AXES = {
    **dict.fromkeys(("Concat", "CumulativeSum", "GLU", "Slice", "Softmax"), "axis"),
    **dict.fromkeys(("Crop", "Flip", "Reduction", "Squeeze"), "axes"),
}
"""Parameters that ncnn counts from the end as well: `if (axis < 0) axis += dims` in each of these layers."""


def respell(
    text: str,
    seed: int,
    spellings: Sequence[str],
    used: set[str] | None = None,
    given: Mapping[str, tuple[int, ...]] | None = None,
) -> str:
    """The text in other words; a spelling acts on about half of the places that it could. used: gets those that did.
    given: shapes of the inputs that are open."""
    if not spellings:
        return text
    used = set() if used is None else used
    rng = random.Random(seed)
    head, counts, *lines = text.splitlines()
    shapes = infer_shapes(read_param(text), given).blobs if {"axes", "reshapes"}.intersection(spellings) else {}
    made = [_line(line, rng, spellings, shapes, used) for line in lines]
    if "order" in spellings and rng.random() < 0.5:
        before, made = made, _reordered(made, rng)
        used |= {"order"} if made != before else set()
    if "names" in spellings and rng.random() < 0.3:
        at = rng.randrange(len(made))
        words = made[at].split()
        made[at] = " ".join([words[0], rng.choice(lines).split()[1], *words[2:]])
        used.add("names")
    if "counts" in spellings and rng.random() < 0.3:
        n_layers, n_blobs = counts.split()
        counts = f"{n_layers} {int(n_blobs) + rng.randint(1, 9)}"
        used.add("counts")
    return "\n".join([head, counts, *made]) + "\n"


def _line(line: str, rng: random.Random, spellings: Sequence[str], shapes: Shapes, used: set[str]) -> str:
    words = line.split()
    spec = nb.registry.get(words[0])
    n = 4 + int(words[2]) + int(words[3])
    if spec is None or len(words) == n:
        return line
    by_id = {p.id: p for p in spec.params}
    given = dict(map(_entry, words[n:]))
    entries = []
    for number, values in given.items():
        param = by_id.get(number)
        if param is None:  # the feature mask
            entries.append(f"{number}={values[0]}")
            continue
        if "defaults" in spellings and rng.random() < 0.6 and _is_default(spec, param, given):
            used.add("defaults")
            continue
        if shapes and int(words[2]):
            before, values = values, _from_the_end(spec, param, values, shapes.get(words[4], ()), rng, spellings)
            used |= {"axes"} if values != before else set()
        if "digits" in spellings and param.kind in ("float", "floats"):
            before, values = values, [_digits(v, rng) for v in values]
            used |= {"digits"} if values != before else set()
        short = "arrays" in spellings and rng.random() < 0.5
        entries.append(_written(param, values, short))
        used |= {"arrays"} if entries[-1] != _written(param, values, False) else set()
    if spec.type == "Reshape" and "reshapes" in spellings:
        before, entries = entries, _reshape(entries, shapes.get(words[4], ()), shapes.get(words[5], ()), rng)
        used |= {"reshapes"} if entries != before else set()
    if "order" in spellings and rng.random() < 0.3:
        rng.shuffle(entries)
    return " ".join([*words[:n], *entries])


def _entry(word: str) -> tuple[int, list[str]]:
    """Id and numbers of a parameter as we write it."""
    key, _, value = word.partition("=")
    number = int(key)
    return (OLD_ARRAY - number, value.split(",")[1:]) if number <= OLD_ARRAY else (number, [value])


def _written(param: Param, values: list[str], short: bool) -> str:
    number = param.id or 0
    if param.kind in ("int", "float"):
        return f"{number}={values[0]}"
    if short and values:
        return f"{number}={','.join(values)}{',' if len(values) == 1 else ''}"
    return f"{OLD_ARRAY - number}={','.join([str(len(values)), *values])}"


def _typed(param: Param, values: list[str]) -> Any:
    kind: Any = int if param.kind in ("int", "ints") else np.float32
    found = tuple(kind(v) for v in values)
    return found if param.kind in ("ints", "floats") else found[0]


def _is_default(spec: OpSpec, param: Param, given: Mapping[int, list[str]]) -> bool:
    """Whether the layer has the same numbers where the file leaves these out."""
    params = {p.name: _typed(p, given[p.id]) for p in spec.params if p.id in given}
    said = params.pop(param.name)
    default = filled(spec, **params)[param.name]
    return bool((np.float32(default) if isinstance(default, float) else default) == said)


def _from_the_end(
    spec: OpSpec, param: Param, values: list[str], shape: tuple[int, ...], rng: random.Random, spellings: Sequence[str]
) -> list[str]:
    if "axes" not in spellings or AXES.get(spec.type) != param.name or not shape:
        return values
    return [str(int(v) - len(shape)) if int(v) >= 0 and rng.random() < 0.5 else v for v in values]


def _reshape(entries: list[str], before: tuple[int, ...], after: tuple[int, ...], rng: random.Random) -> list[str]:
    """One of the numbers -1, or those that stay 0; an expression stays as it is."""
    keys = dict(zip({1: "0", 2: "10", 3: "210", 4: ("2", "11", "1", "0")}.get(len(after), ""), after, strict=False))
    kept = [key for (key, n), m in zip(keys.items(), before, strict=False) if n == m and len(before) == len(after)]
    words = dict(entry.split("=") for entry in entries)
    if not keys or not set(keys).issubset(words) or "6" in words or rng.random() < 0.4:
        return entries
    if kept and rng.random() < 0.5:
        words.update((key, "0") for key in kept if rng.random() < 0.7)
    elif "-1" not in words.values():
        words[rng.choice(list(keys))] = "-1"
    return [f"{key}={value}" for key, value in words.items()]


def _digits(word: str, rng: random.Random) -> str:
    """A float with the same bits in other digits, which still has a point or an exponent."""
    short = str(np.float32(word))
    same = ("." in short or "e" in short) and len(short) <= 15 and np.float32(short) == np.float32(word)
    return short if same and rng.random() < 0.5 else word


def _reordered(lines: list[str], rng: random.Random) -> list[str]:
    """Another order in which every blob is made before it is read; weights stay in the order of the .bin file."""
    waiting, made, found = list(lines), set[str](), []
    while waiting:
        heavy = next((i for i, line in enumerate(waiting) if _has_weights(line)), -1)
        ready = [i for i, line in enumerate(waiting) if made.issuperset(_blobs(line)[0])]
        ready = [i for i in ready if i == heavy or not _has_weights(waiting[i])]
        line = waiting.pop(rng.choice(ready))
        made.update(_blobs(line)[1])
        found.append(line)
    return found


def _has_weights(line: str) -> bool:
    spec = nb.registry.get(line.split(" ", 1)[0])
    return spec is None or bool(spec.weights)


def _blobs(line: str) -> tuple[list[str], list[str]]:
    words = line.split()
    n_in, n_out = int(words[2]), int(words[3])
    return words[4 : 4 + n_in], words[4 + n_in : 4 + n_in + n_out]
