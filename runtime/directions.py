"""The command line that finds directions of a generator's styles, for edit= of every mode: without torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .arguments import Request
from .command import answer
from .edits import directions_file
from .errors import UsageError
from .factorisation import directions, principal_directions
from .files import check_file, whole_file
from .keys import Key, StyleRanges, read_words, style_ranges, text, truth, whole, word
from .modes import choose_model
from .progress import progress
from .renderer import load
from .strangers import printable

METHODS = {
    "pca": "the main axes of many styles (GANSpace): 1 is a standard deviation",
    "sefa": "the main axes of the weights that read the styles (SeFa): 1 is a length of 1, as of move=",
}
KEYS = {
    "model": Key(text, "model=PATH", "the bundle (default: the newest one here); faces comes with the package"),
    "method": Key(word(*METHODS), "method=pca", "\n".join(f"{name}: {said}" for name, said in METHODS.items())),
    "layers": Key(
        style_ranges,
        "layers=0-6",
        "the styles that are moved where edit= comes without layers=; of sefa also those whose\nweights count "
        "(default: all)",
    ),
    "count": Key(whole(1, 512), "count=16", "directions, the strongest first (at most as many as a style has numbers)"),
    "samples": Key(whole(100, 10**7), "samples=10000", "pca: styles"),
    "seed": Key(whole(0, 2**32 - 1), "seed=0", "pca: of their latents"),
    "class": Key(whole(0), "class=N", "pca: the label, for a model that has labels"),
    "out": Key(text, "out=directions.npz", "the file"),
    "threads": Key(whole(1, 1024), "threads=N", "default: the physical cores"),
    "isolate": Key(truth, "isolate=false", "runs the nets in this process"),
}
HEAD = """\
usage: python -m runtime.directions [key=value ...] [-q]

Finds directions of a generator's styles, and writes them for edit=FILE:NUMBER:HOW_FAR of runtime.run.

keys:
"""
TAIL = """\
  -q                   no progress, no remarks

examples:
  python -m runtime.directions model=faces out=faces_pca.npz
  python -m runtime.directions model=faces method=sefa layers=0-2 out=faces_shape.npz
  python -m runtime.run mode=image model=faces seeds=85 edit=faces_pca.npz:0:+2.5 layers=0-3
"""


@dataclass
class Search:
    """A command line that makes sense by itself."""

    given: dict[str, str] = field(default_factory=dict)
    method: str = "pca"
    layers: StyleRanges | None = None
    count: int | None = None
    samples: int = 10_000
    seed: int = 0
    out: str = "directions.npz"
    request: Request = field(default_factory=lambda: Request("image"))


def usage() -> str:
    """The text of --help."""
    return HEAD + "".join(map(Key.line, KEYS.values())) + TAIL


def parse(arguments: Sequence[str]) -> Search:
    """Raises UsageError."""
    words = read_words(arguments, KEYS, takes="key=value")
    if words.plain:
        raise UsageError("an argument that is no key=value", expected="such as model=faces", got=words.plain[0])
    search = Search(words.given, request=Request("image", words.given, quiet=words.quiet))
    for key, value in words.given.items():
        of = search if hasattr(search, key) else search.request
        setattr(of, {"class": "label_class"}.get(key, key), KEYS[key].read(key, value))
    if search.method == "sefa":
        for key in ("samples", "seed", "class"):
            if key in words.given:
                raise UsageError(f"{key}= is about method=pca", got="method=sefa")
    return search


def run(arguments: Sequence[str]) -> object:
    """Raises NcnnError for everything that is wrong, before anything is computed."""
    search = parse(arguments)
    request, path = search.request, check_file(search.out, (".npz",))
    manifest = choose_model(request, ".png")
    num_ws, w_dim = manifest.num_ws, manifest.w_dim
    if search.layers is not None and (last := max(last for _, last in search.layers)) >= num_ws:
        raise UsageError("layers= is out of range", expected=f"0 to {num_ws - 1}", got=str(last))
    count = min(16, w_dim) if search.count is None else search.count
    if count > w_dim:
        raise UsageError("count= is out of range", expected=f"1 to {w_dim}", got=str(count))
    styles = None
    if search.layers is not None:
        styles = sorted({i for first, last in search.layers for i in range(first, last + 1)})
    label = None
    if search.method == "pca":
        label = request.label(manifest.c_dim)
    model = load(manifest, request.threads, request.isolate)
    if model.warning and not request.quiet:
        print(f"warning: {model.warning}", file=sys.stderr)
    about: dict[str, object] = {
        "method": search.method,
        "model": manifest.name,
        "model_sha256": manifest.digest,
        "layers": styles,
    }
    lines = []
    if search.method == "sefa":
        found = directions(model, range(num_ws) if styles is None else styles, count)
    else:
        about |= {"samples": search.samples, "seed": search.seed, "class": request.label_class}
        numbers = progress(range(search.samples), search.samples, path.name, "style", request.quiet)
        found, shares = principal_directions(model, count, numbers, search.samples, search.seed, label)
        deviations = np.linalg.norm(found, axis=1)
        pairs = enumerate(zip(deviations, shares, strict=True))
        lines = [f"{i:>3}  deviation {deviation:.4g}, {share:.1%} of the variance" for i, (deviation, share) in pairs]
    with whole_file(path) as file:
        file.write_bytes(directions_file(found, styles, json.dumps(about)))
    return "\n".join([*lines, printable(f"{path}  {len(found)} directions, {search.method}")])


def main(argv: list[str] | None = None) -> int:
    """Returns 0, 2 for a mistake of the user's (one line on stderr), 130 after Ctrl-C; SIGTERM exits with 143."""
    return answer(argv, usage, run)


if __name__ == "__main__":
    sys.exit(main())
