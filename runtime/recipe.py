"""What a picture says of itself: PNG text chunks with the settings, the model, and the command that makes it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from .arguments import Request
from .errors import BundleError, UsageError
from .manifest import Manifest, load_manifest
from .renderer import Renderer
from .seeds import Seed
from .strangers import printable

PREFIX = "ncnn-builder "  # of the keywords, beside which other programs may put theirs
# In the order in which mode=info shows them.
FIELDS = (
    *("mode", "model", "model_sha256", "seeds", "rows", "cols", "mix", "styles", "weight", "blend", "trunc", "cutoff"),
    *("class", "noise", "noise_seed", "noise_strength", "rotate", "translate", "zoom", "move", "move_styles"),
    *("edit", "edit_sha256", "layers", "grid", "fp16", "bf16"),
    *("stops", "keyframes", "shuffle", "walk", "path", "speed", "script"),
    *("frames", "fps", "loop", "ease", "frame", "command"),
)
NOT_REPEATED = ("mode", "model", "seeds", "rows", "cols", "mix", "out", "threads", "isolate", "noise_seed")


def recipe(
    request: Request, manifest: Manifest, renderer: Renderer, *, seeds: Iterable[Seed] | None = None, number: int = 0
) -> dict[str, str]:
    """The text chunks of a picture of this request.

    seeds: the picture's own, where the request makes more than this one. number: of the picture, for its noise.
    """
    shown = Path(request.model or manifest.path.name)
    model = str(shown.with_suffix("") if shown.suffix == ".json" else shown)
    values = {"mode": request.mode, "model": model}
    lists = {"seeds": request.seeds if seeds is None else list(seeds), "rows": request.rows, "cols": request.cols}
    lists["mix"] = [request.mix] if request.mix else []
    files = {}  # a path may hold what a list cannot: a comma
    for key, chosen in lists.items():
        if chosen:
            plain = [seed.plain(manifest.z_dim) for seed in chosen]
            values[key] = ", ".join(plain)
            files[key] = plain
    given = {key: text for key, text in request.given.items() if key not in NOT_REPEATED}
    noise_seed = renderer.noise_seed(number)
    if noise_seed is not None:
        values["noise_seed"] = given["noise_seed"] = str(noise_seed)
    command = ["python", "-m", "runtime.run", f"mode={request.mode}", f"model={model}"]
    for key, plain in files.items():
        simple = not any("," in text for text in plain)
        command += [f"{key}={','.join(plain)}"] if simple else plain
    command += [f"{key}={text}" for key, text in given.items()]
    values |= given
    if request.styles is None and request.blend is None and (request.mode in ("mix", "grid") or request.mix):
        values["styles"] = ",".join(str(i) for i in sorted(request.chosen_styles(manifest.num_ws)))
    values["trunc"] = f"{request.trunc:g}"
    values["noise"] = renderer.noise
    values["model_sha256"] = manifest.digest
    if renderer.edit_sha256:
        values["edit_sha256"] = renderer.edit_sha256
    values["command"] = shlex.join(command)
    # A path that is no text, which the chunk of a PNG has to be, is shown instead of repeated.
    chunks = {PREFIX + key: printable(values[key]) for key in FIELDS if key in values}
    return {"Software": "ncnn-builder", **chunks}


def read_recipe(path: str) -> dict[str, str]:
    """Field -> text. Raises UsageError where the file is no picture, or says nothing of how it was made."""
    from .picture_files import NotAPicture, opened  # Pillow takes longer to import than all of ours

    try:
        with opened(path) as image:
            image.load()  # text chunks may follow the pixels
            texts: Mapping[str, object] = getattr(image, "text", {})
            size = f"{image.width} x {image.height}"
    except FileNotFoundError:
        raise UsageError("no such picture", file=path) from None
    except NotAPicture as error:
        expected = "a PNG that mode=image, mix, grid ... wrote"
        raise UsageError("not a picture that can be read", file=path, expected=expected, reason=str(error)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError("the picture cannot be read", file=path, reason=reason) from None
    found = {key.removeprefix(PREFIX): str(text) for key, text in texts.items() if key.startswith(PREFIX)}
    if "command" not in found:
        raise UsageError(
            "the picture does not say how it was made", file=path, expected="a PNG as this program wrote it"
        )
    return {"picture": f"{path}, {size}", **{key: found[key] for key in FIELDS if key in found}}


def show(fields: Mapping[str, str]) -> str:
    """The fields as lines, a line each whatever is in them, and what is to be known of the model that is here."""
    lines = [f"{key.replace('_', ' '):<14}{text}" for key, text in fields.items()]
    model, wanted = fields.get("model", ""), fields.get("model_sha256")
    try:
        same = load_manifest(model).digest == wanted
        remark = "" if same else f"{model} here is another model than the picture's"
    except BundleError:
        remark = f"the model {model} is not here: give model= its place"
    return "\n".join(printable(line, keep="") for line in [*lines, *([f"{'note':<14}{remark}"] if remark else [])])
