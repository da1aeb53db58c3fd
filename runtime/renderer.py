"""A loaded model with the settings of one command: styles of its seeds, and pictures of styles."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arguments import Request
from .at_once import in_order, share_threads
from .edits import movement
from .errors import UsageError
from .factorisation import directions
from .keys import ALL_STYLES, Blend
from .manifest import Manifest
from .model import Model, RandomWeightsWarning, to_picture
from .net import bf16_products, check_threads, half_precision
from .pictures import Picture
from .seeds import W_AVG, Latent, Seed, read_latent
from .stopping import check_stop
from .values import FloatArray


@dataclass(frozen=True)
class Shot:
    """One picture to make. number: its place in the command, which random noise counts by. transform: its own."""

    number: int
    w: FloatArray
    w1: FloatArray | None = None
    mixing: list[float] | None = None
    transform: FloatArray | None = None


class Renderer:
    """Loads the model for so many pictures.

    Everything that is wrong with the request for this model is said (UsageError, SeedError, BundleError ...) before
    anything is computed.

    model: that of the manifest, where it is loaded already.
    """

    def __init__(
        self,
        request: Request,
        manifest: Manifest,
        seeds: Iterable[Seed],
        pictures: int,
        model: Model | None = None,
    ) -> None:
        self._request, self._manifest = request, manifest
        self._transform = request.transform()
        self._check()
        distinct = dict.fromkeys(seeds)
        latents = {seed: read_latent(seed, manifest) for seed in distinct if seed.text != W_AVG}
        needs_label = request.label_class is not None or any(kind == "z" for kind, _ in latents.values())
        self._label = request.label(manifest.c_dim) if needs_label else None

        total = model.synthesis_net.threads if model else check_threads(request.threads)
        threads, self._at_once = share_threads(total, pictures, manifest.img_resolution)
        self.model = model or load(manifest, threads, request.isolate, request.fp16, request.bf16)
        if self.model.warning and not request.quiet:
            print(f"warning: {self.model.warning}", file=sys.stderr)
        self._check_noise()
        self._movement = self._moved() if request.move else None
        self.edit_sha256 = ""
        if request.edit:
            edited, self.edit_sha256 = movement(request.edit, request.layers, manifest.num_ws, manifest.w_dim)
            self._movement = edited if self._movement is None else self._movement + edited
        self._styles = {seed: self._style(latents.get(seed)) for seed in distinct}

    @property
    def noise(self) -> str:
        return self._request.noise or self.model.noise_choices[0]

    def style(self, seed: Seed) -> FloatArray:
        """[w_dim], or [num_ws, w_dim] where its layers have styles of their own.

        That of a seed which the renderer was not made with is computed here, and not kept.
        """
        known = self._styles.get(seed)
        return self._style(read_latent(seed, self._manifest)) if known is None else known

    def _style(self, latent: Latent | None) -> FloatArray:
        """None: the mean style. Moved by move= and edit=: so is then every sum of styles whose parts add up to one."""
        style = self._unmoved(latent)
        return style if self._movement is None else style + self._movement

    def _moved(self) -> FloatArray:
        """[num_ws, w_dim]: how far move= takes each style."""
        request, manifest = self._request, self._manifest
        ranges = request.move_styles or [(0, manifest.num_ws - 1)]
        if (last := max(last for _, last in ranges)) >= manifest.num_ws:
            raise UsageError("move_styles= is out of range", expected=f"0 to {manifest.num_ws - 1}", got=str(last))
        styles = sorted({i for first, last in ranges for i in range(first, last + 1)})
        found = directions(self.model, styles)
        movement = np.zeros((manifest.num_ws, manifest.w_dim), np.float32)
        for place, far in (request.move or {}).items():
            if place >= len(found):
                raise UsageError(
                    "move= asks for a direction that there is not", expected=f"0 to {len(found) - 1}", got=str(place)
                )
            movement[styles] += np.float32(far) * found[place]
        return movement

    def _unmoved(self, latent: Latent | None) -> FloatArray:
        request, model = self._request, self.model
        if latent is None:
            return model.truncate(model.w_avg, request.trunc, request.cutoff)
        if latent[0] == "w":
            return model.truncate(latent[1], request.trunc, request.cutoff)
        return model.mapping(latent[1], request.trunc, self._label, request.cutoff)

    def styles(self, seeds: Iterable[Seed]) -> list[FloatArray]:
        """The styles in one shape: all [num_ws, w_dim] if one of them is."""
        ws = [self._styles[seed] for seed in seeds]
        if len({w.shape for w in ws}) > 1:
            ws = [np.broadcast_to(w, (self._manifest.num_ws, self._manifest.w_dim)) for w in ws]
        return ws

    def mixing(self) -> list[float]:
        """How much of the other seed each style takes, after styles= and weight=."""
        chosen = self._request.chosen_styles(self._manifest.num_ws)
        return [self._request.weight if i in chosen else 0.0 for i in range(self._manifest.num_ws)]

    def mixed(self, seeds: Sequence[Seed]) -> Shot:
        """The picture of mode=mix."""
        if self._request.blend is not None:
            return Shot(0, self.blended(seeds, self._request.blend))
        a, b = (self.style(seed) for seed in seeds)
        return Shot(0, a, b, self.mixing())

    def blended(self, seeds: Sequence[Seed], blend: Blend) -> FloatArray:
        """[num_ws, w_dim]: the first seed's styles, with what blend= gives them of the others."""
        rows = [np.broadcast_to(self.style(seed), (self._manifest.num_ws, self._manifest.w_dim)) for seed in seeds]
        w: FloatArray = np.array(rows[0])
        for (first, last), parts in blend:
            here = slice(first, last + 1)
            if len(parts) == 1 and parts[0][1] == 1:
                w[here] = rows[parts[0][0]][here]  # itself, not what rounding leaves of it
                continue
            for place, share in parts:
                w[here] += np.float32(share) * (rows[place][here] - rows[0][here])
        return w

    def noise_seed(self, number: int) -> int | None:
        return ((self._request.noise_seed or 0) + number) % 2**32 if self.noise == "random" else None

    def pictures(self, shots: Iterable[Shot]) -> Iterator[Picture]:
        """uint8 [H, W, C] of each shot, in order, several at the same time where that is faster."""
        for picture in in_order(self._picture, shots, self._at_once, self.model.stop):
            check_stop()
            yield picture

    def early(self, shot: Shot, blob: str) -> Picture:
        """What a blob [C, H, W] of the synthesis net shows of it, uint8 [H, W, C]; layers behind it do not run."""
        given = self.model.synthesis_inputs(shot.w, shot.w1, shot.mixing, **self._controls(shot))
        return to_picture(self.model.synthesis_net.run(given, [blob])[blob])

    def _picture(self, shot: Shot) -> Picture:
        return self.model.image(shot.w, shot.w1, shot.mixing, **self._controls(shot))

    def _controls(self, shot: Shot) -> dict[str, Any]:
        controls: dict[str, Any] = {"noise": self.noise, "noise_seed": self.noise_seed(shot.number)}
        controls["noise_strength"] = self._request.noise_strength
        controls["transform"] = self._transform if shot.transform is None else shot.transform
        return controls

    def _check(self) -> None:
        request, manifest = self._request, self._manifest
        if (self._transform is not None or request.script is not None) and manifest.transform is None:
            needs = "script= needs" if request.script is not None else "rotate=, translate= and zoom= need"
            raise UsageError(
                f"{needs} the input 'transform', which {manifest.path.name} has not",
                fix="Export StyleGAN3 with --transform-input",
            )
        if request.cutoff is not None and request.cutoff > manifest.num_ws:
            raise UsageError("cutoff= is out of range", expected=f"0 to {manifest.num_ws}", got=str(request.cutoff))
        request.chosen_styles(manifest.num_ws)
        for key, (ends, _) in (
            *(("blend", piece) for piece in request.blend or []),
            *(("stops", piece) for stop in request.stops or [] for piece in stop),
        ):
            if ends[1] >= manifest.num_ws and ends != ALL_STYLES:
                raise UsageError(
                    f"{key}= is out of range", expected=f"styles 0 to {manifest.num_ws - 1}", got=str(ends[1])
                )

    def _check_noise(self) -> None:
        """Said before anything is computed, and in the words of the command line."""
        request, choices = self._request, self.model.noise_choices
        if request.noise is not None and request.noise not in choices:
            raise UsageError(
                f"noise={request.noise} is not in this model",
                expected=" or ".join(f"noise={choice}" for choice in choices),
                fix="Export with --noise-mode input for const, random and none",
            )
        if request.noise_seed is not None and self.noise != "random":
            raise UsageError("noise_seed= is for random noise", expected="noise=random")
        if request.noise_strength != 1 and not self._manifest.noise.layers:
            raise UsageError(
                "noise_strength= cannot change this model's noise: it is built in", fix="Export with --noise-mode input"
            )


def load(manifest: Manifest, threads: int | None, isolate: bool, fp16: bool = False, bf16: bool = False) -> Model:
    """The model without the warning that its weights are random: Model.warning says it.

    fp16, bf16: products in half precision, in bfloat16. Raises UsageError where the processor does not have it.
    """
    if fp16 and not half_precision():
        raise UsageError(
            "fp16=true: this processor does not compute in half precision",
            expected="64-bit ARM with asimdhp (ARMv8.2)",
            fix="Leave it out",
        )
    if bf16 and not bf16_products():
        raise UsageError(
            "bf16=true: this processor does not multiply in bfloat16",
            expected="x86-64 with AVX-512-BF16 (Zen 4, Cooper Lake, Sapphire Rapids and later)",
            fix="Leave it out",
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RandomWeightsWarning)
        return Model(manifest.path, threads=threads, isolate=isolate, fp16_arithmetic=fp16, bf16_arithmetic=bf16)
