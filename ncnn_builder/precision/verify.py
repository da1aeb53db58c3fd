"""A certificate measured again, on any machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from ..errors import ReadError
from .budget import Budget
from .certificate import SCHEMA
from .data import Pixels, digest, read_samples
from .net_files import beside, loaded, ran, read_net_files
from .quantise import split


@dataclass(frozen=True)
class Verified:
    """kept: whether the budget holds here. told: the error here; certified: then. changed: what is not the same."""

    kept: bool
    told: str
    certified: str
    budget: str
    changed: list[str]


def verify(out: str | PathLike[str], net: str | PathLike[str] | None = None, data: str | None = None) -> Verified:
    """Run the net of a certificate and its original on the held-out data.

    out: OUT, or OUT.json. net, data: where the original and the data are now; else where they were.
    Raises ReadError for what is missing, BuildError for data that do not fit.
    """
    path = Path(out) if str(out).endswith(".json") else Path(f"{out}.json")
    try:
        said = json.loads(path.read_text())
        if said["schema"] != SCHEMA:
            raise ValueError(f"schema {said['schema']}")
        budget = Budget.parse(said["budget"])
        source, where = Path(net or said["net"]), data or said["data"]
        pixels = (
            Pixels(**{**said["pixels"], **{k: tuple(said["pixels"][k]) for k in ("mean", "norm")}})
            if said["pixels"]
            else None
        )
        hashes, originals, held_hash = said["sha256"], said["net_sha256"], said["held_out"]["sha256"]
        threads, certified = int(said["threads"]), str(said["held_out"]["told"])
    except FileNotFoundError:
        raise ReadError(f"cannot read {path}: no such file") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ReadError(
            f"{path} is no certificate: {error}", fix="python -m ncnn_builder quantize writes one"
        ) from None
    if where is None:
        raise ReadError(f"{path} does not say where its data are", argument="--data", fix="Give the data")
    param = path.with_suffix(".param")
    made, right = read_net_files(param), read_net_files(source)
    changed = [
        str(file)
        for file, sha in (
            *((param, hashes["param"]), (beside(param), hashes["bin"])),
            *((source, originals["param"]), (beside(source), originals["bin"])),
        )
        if hashlib.sha256(file.read_bytes()).hexdigest() != sha
    ]
    _, held = split(read_samples(right, where, pixels))
    if digest(held) != held_hash:
        changed.append(f"the data in {where}")
    nets = [(one, loaded(one, threads=threads)) for one in (made, right)]
    got, expected = ([ran(one, here, sample) for sample in held] for one, here in nets)
    measured, base = budget.measure(got, expected, held), budget.base(expected, held)
    return Verified(budget.kept(measured, base), budget.told(measured), certified, budget.text, changed)
