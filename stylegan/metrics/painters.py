"""What makes the pictures that are measured: a network of torch, or its bundle through the ncnn runtime."""

from __future__ import annotations

import copy
import hashlib
import os
import warnings
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

import ncnn_builder as nb
from runtime.at_once import in_order, share_threads
from runtime.errors import NcnnError
from runtime.manifest import load_manifest, manifest_path
from runtime.model import Model, RandomWeightsWarning
from stylegan._torch import Tensor, torch
from stylegan.errors import MetricError
from stylegan.networks.random_weights import Generator

NOISE = ".noise_const"
Matrix = npt.NDArray[np.float32]


class Painter(Protocol):
    """A generator as metrics see it. Pictures are about -1 to 1; random numbers are of torch's own generators.

    digest: of all that its pictures depend on. remarks: why its figures cannot be held against published ones. turns:
    whether synthesis() takes a transform.
    """

    z_dim: int
    c_dim: int
    img_resolution: int
    img_channels: int
    remarks: list[str]

    @property
    def digest(self) -> str: ...

    @property
    def turns(self) -> bool: ...

    def to(self, device: torch.device) -> None: ...

    def elsewhere(self) -> Painter:
        """The same, for the processes of other machines."""

    def paint(self, z: Tensor, c: Tensor | None) -> Tensor:
        """z [N, z_dim], c [N, c_dim] -> [N, C, H, W]; StyleGAN2's noise is drawn for each."""

    def styles(self, z: Tensor, c: Tensor | None) -> Tensor:
        """[N, num_ws, w_dim], not truncated."""

    def draw_noise(self) -> None:
        """The planes that synthesis() has from now on, the same for all pictures."""

    def synthesis(self, ws: Tensor, transform: Matrix | None = None) -> Tensor:
        """ws [N, num_ws, w_dim] -> [N, C, H, W]. transform [3, 3]: where each point of the picture is looked up."""


class TorchPainter:
    """A generator of stylegan.v2ada or v3, which is left as it is."""

    def __init__(self, G: Generator) -> None:
        self._G: Any = G
        self._copy: Any = None
        self.z_dim, self.c_dim = G.z_dim, G.c_dim
        self.img_resolution, self.img_channels = G.img_resolution, G.img_channels
        self.remarks: list[str] = []

    @property
    def digest(self) -> str:
        found = hashlib.sha256(repr(self._G).encode())
        for name, tensor in self._G.state_dict().items():
            found.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
        return found.hexdigest()

    def to(self, device: torch.device) -> None:
        self._G.to(device)

    def elsewhere(self) -> TorchPainter:
        return self

    def paint(self, z: Tensor, c: Tensor | None) -> Tensor:
        found: Tensor = self._G(z, c)
        return found

    def styles(self, z: Tensor, c: Tensor | None) -> Tensor:
        found: Tensor = self._G.mapping(z, c)
        return found

    def draw_noise(self) -> None:
        for name, plane in self._own().named_buffers():
            if name.endswith(NOISE):
                plane.copy_(torch.randn_like(plane))

    def synthesis(self, ws: Tensor, transform: Matrix | None = None) -> Tensor:
        G = self._own()
        if self.turns:
            own = self._G.synthesis.input.transform
            G.synthesis.input.transform.copy_(own if transform is None else torch.from_numpy(transform))
        found: Tensor = G.synthesis(ws, noise_mode="const")
        return found

    @property
    def turns(self) -> bool:
        return hasattr(getattr(self._G.synthesis, "input", None), "transform")

    def _own(self) -> Any:
        """A copy whose buffers may be written to."""
        if self._copy is None:
            self._copy = copy.deepcopy(self._G).eval().requires_grad_(False)
        return self._copy


class NcnnPainter:
    """A bundle that `stylegan.export` wrote, as the runtime makes its pictures: what is shipped, and not what it was
    made of.

    path: as runtime.Model takes it. StyleGAN2's noise is drawn anew where the export left it open, and is else the
    bundle's own. Each process that paints loads it, with as many threads as torch has there. origin: of the weights and
    the bundle, for reports. Raises MetricError.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._model: Model | None = None
        self._at_once = 1
        model = self._loaded()
        manifest = model.manifest
        self.z_dim, self.c_dim, self._num_ws = manifest.z_dim, manifest.c_dim, manifest.num_ws
        self.img_resolution, self.img_channels = manifest.img_resolution, manifest.img_channels
        shape = manifest.graphs["synthesis"].outputs["output"]
        if shape[-1] != shape[-2]:
            raise MetricError(f"engine ncnn: {manifest.path}: expected square pictures, got {list(shape)}")
        self.turns = manifest.transform is not None
        self._drawn = 0
        self._random = "random" in model.noise_choices
        self.digest = f"ncnn {manifest.digest} {nb.__version__}"
        self.origin = {
            **{"source": manifest.weights.source, "sha256": manifest.weights.sha256, "random": manifest.weights.random},
            **{"config": manifest.config, "family": manifest.family, "bundle": manifest.path.name},
            **{"bundle_sha256": manifest.digest, "target": manifest.target, "storage": manifest.weights.storage},
        }
        self.remarks = ["pictures of a bundle through ncnn, published figures are of the network itself"]
        if manifest.family == "v2ada" and not self._random and manifest.noise.mode != "none":
            self.remarks.append("noise that the export built in, published figures are of noise drawn for each picture")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    def to(self, device: torch.device) -> None:
        if device.type != "cpu":
            raise MetricError(f"engine ncnn: expected the device cpu, got {device}")

    def elsewhere(self) -> NcnnPainter:
        found = copy.copy(self)
        found._path = str(manifest_path(self._path).absolute())
        return found

    def paint(self, z: Tensor, c: Tensor | None) -> Tensor:
        seeds: list[int | None] = [None] * len(z)
        if self._random:
            seeds = torch.randint(2**32, [len(z)]).tolist()
        return self._pictures(list(zip(self.styles(z, c).numpy()[:, 0], seeds, strict=True)), None)

    def styles(self, z: Tensor, c: Tensor | None) -> Tensor:
        model = self._loaded()
        labels = [None] * len(z) if c is None else list(c.numpy())
        try:
            ws = [model.mapping(row, c=label) for row, label in zip(z.numpy(), labels, strict=True)]
        except NcnnError as error:
            raise MetricError(f"engine ncnn: {error}") from None
        return torch.from_numpy(np.stack(ws))[:, None].repeat(1, self._num_ws, 1)

    def draw_noise(self) -> None:
        if self._random:
            self._drawn = int(torch.randint(2**32, []))

    def synthesis(self, ws: Tensor, transform: Matrix | None = None) -> Tensor:
        seed = self._drawn if self._random else None
        return self._pictures([(w, seed) for w in ws.numpy()], transform)

    def _pictures(self, asked: list[tuple[Matrix, int | None]], transform: Matrix | None) -> Tensor:
        model = self._loaded()
        noise = "random" if self._random else None

        def picture(one: tuple[Matrix, int | None]) -> Matrix:
            return model.synthesis(one[0], transform=transform, noise=noise, noise_seed=one[1])

        try:
            return torch.from_numpy(np.stack(list(in_order(picture, asked, self._at_once, model.stop))))
        except NcnnError as error:
            raise MetricError(f"engine ncnn: {error}") from None

    def _loaded(self) -> Model:
        if self._model is None:
            try:
                manifest = load_manifest(self._path)
                threads, self._at_once = share_threads(torch.get_num_threads(), 1024, manifest.img_resolution)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RandomWeightsWarning)
                    self._model = Model(manifest.path, threads=threads)
            except NcnnError as error:
                raise MetricError(f"engine ncnn: {error}") from None
        return self._model
