"""Reads NAME.json, which says what the files of a bundle are. The exporter writes it.

manifest.schema.json says the same to other programs; a test holds the two together.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BundleError, byte_count
from .files import sha256_of
from .json_reader import Reader
from .migration import migrated
from .strangers import read_regular

FORMAT = "ncnn-builder-bundle"
KEYS = (
    *("name", "family", "config", "target", "z_dim", "c_dim", "w_dim", "num_ws", "img_resolution", "img_channels"),
    *("truncation", "noise", "transform", "weights", "graphs", "files", "made_by"),
)
FORMAT_VERSION = 2
"""Raised when a key is renamed or gets another meaning; runtime/migration.py then reads the one before."""
SHIPPED = Path(__file__).with_name("models")
"""Bundles that come with the package: `model=faces` where the working directory has no faces.json."""
STORAGES = ("fp32", "fp16")
NOISE_MODES = ("const", "none", "random", "input")
MOST_BYTES = 1 << 24
"""Of a manifest: that of a large network has 20,000."""
LARGEST = 1 << 20
"""Of a dimension: more than any network has, and little enough that an array of it may be made."""
MOST_STYLES = 1 << 24
"""Numbers in the styles of all layers, num_ws x w_dim."""


@dataclass(frozen=True)
class WeightSource:
    """Where the weights came from, and how they are stored; `random` ones make noise, not pictures.

    storage: "fp32", or "fp16" where large weights were rounded to half the size.
    """

    source: str
    sha256: str | None
    random: bool
    storage: str = "fp32"


@dataclass(frozen=True)
class GraphFiles:
    """One net of the bundle. Shapes are outer first; taps name a blob for each module path."""

    param: str
    bin: str
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    taps: dict[str, str]


@dataclass(frozen=True)
class NoiseLayer:
    """A layer whose noise is an input of the synthesis net: that input, and its shape [H, W]."""

    input: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class NoiseInputs:
    """How the noise was exported. mode: const or none (built in), random or input (planes are inputs).

    planes: the file of the network's own planes, float32 in the order of the layers; only where mode is input.
    """

    mode: str
    planes: str | None
    layers: dict[str, NoiseLayer]


@dataclass(frozen=True)
class FileRecord:
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    path: Path
    name: str
    family: str
    config: str | None
    target: str
    noise: NoiseInputs
    truncation: bool  # whether the network keeps the mean style that psi goes towards
    transform: tuple[tuple[float, ...], ...] | None  # [3, 3] for when none is given; None: there is no such input
    z_dim: int
    c_dim: int
    w_dim: int
    num_ws: int
    img_resolution: int
    img_channels: int
    weights: WeightSource
    graphs: dict[str, GraphFiles]
    files: dict[str, FileRecord]
    made_by: dict[str, str]

    def file(self, name: str) -> Path:
        return self.path.parent / name

    @property
    def digest(self) -> str:
        """SHA-256 of what the nets compute, whatever the bundle is called."""
        nets = (self.graphs[name] for name in ("mapping", "synthesis"))
        planes = [self.noise.planes] if self.noise.planes else []
        names = [*(name for net in nets for name in (net.param, net.bin)), *planes]
        parts = [*(self.files[name].sha256 for name in names), json.dumps(self.transform)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def check_files(self) -> None:
        """Raises BundleError for the first file that is missing, or whose size or SHA-256 has changed."""
        for name, record in self.files.items():
            path = self.file(name)
            fix = "Export the bundle again"
            try:
                size = path.stat().st_size
                if size != record.bytes:
                    what = "truncated" if size < record.bytes else "changed since export: it is longer"
                    raise BundleError(what, file=str(path), expected=byte_count(record.bytes), got=f"{size}", fix=fix)
                digest = sha256_of(path)
            except OSError as error:
                raise BundleError(
                    f"a file of the bundle {self.path.name} cannot be read",
                    file=str(path),
                    reason=error.strerror,
                ) from None
            if digest != record.sha256:
                raise BundleError(
                    "changed since export: its SHA-256 differs",
                    file=str(path),
                    expected=record.sha256[:16] + "...",
                    got=digest[:16] + "...",
                    fix=f"{fix}, or pass verify=False if the change is meant",
                )


def manifest_path(model: str | os.PathLike[str]) -> Path:
    """`dir/NAME` or `dir/NAME.json` -> the path of the manifest. Raises BundleError where there is no NAME.

    A NAME alone that is not here is one of those that come with the package, if it has such a one.
    """
    path = Path(model)
    if path.name in ("", ".."):
        raise BundleError("not the name of a model", expected="PATH/NAME or PATH/NAME.json", got=repr(os.fspath(model)))
    path = path if path.suffix == ".json" else path.with_name(path.name + ".json")
    shipped = SHIPPED / path.name
    return shipped if path == Path(path.name) and not path.exists() and shipped.is_file() else path


def is_manifest(path: Path) -> bool:
    """Whether a JSON file says that it is a bundle of ours, of whatever version."""
    try:
        data = _json(path)
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(data, dict) and data.get("format") == FORMAT


def _json(path: Path) -> Any:
    """Raises OSError, ValueError, RecursionError."""
    return json.loads(read_regular(path, MOST_BYTES))


def load_manifest(model: str | os.PathLike[str]) -> Manifest:
    """Reads and checks a manifest; the files that it lists are not looked at.

    Raises:
        BundleError: it is missing, not JSON, not ours, of a newer format, or has a missing or bad key. Those of
            earlier formats are read as what they mean in this one.
    """
    path = manifest_path(model)
    try:
        data = _json(path)
    except FileNotFoundError:
        raise BundleError(
            "no such model",
            file=str(path),
            expected="NAME, as it was exported, or its manifest with the suffix .json",
            got=os.fspath(model),
        ) from None
    except OSError as error:
        raise BundleError("the manifest cannot be read", file=str(path), reason=error.strerror) from None
    except (ValueError, RecursionError) as error:
        raise BundleError("the manifest is not JSON", file=str(path), reason=str(error)) from None
    reader = Reader(path, data)
    found = reader.table.get("format")
    if found != FORMAT:
        raise BundleError("not a bundle of ncnn_builder", file=str(path), expected=f'"format": "{FORMAT}"')
    version = reader.number("format_version", low=1)
    if version > FORMAT_VERSION:
        raise BundleError(
            "the bundle is of a newer format",
            file=str(path),
            expected=f"version {FORMAT_VERSION}",
            got=f"version {version}",
            fix="Install a newer version of this project",
        )
    reader = migrated(reader, version, FORMAT_VERSION)
    missing = [key for key in KEYS if key not in reader.table]
    if missing:
        raise BundleError(
            "the manifest lacks keys",
            file=str(path),
            expected=f"version {FORMAT_VERSION}, with {', '.join(missing)}",
            got=f"version {version}, without them",
            fix="Export it again",
        )
    weights = reader.at("weights")
    graphs = reader.at("graphs")
    files = reader.at("files")
    manifest = Manifest(
        path=path,
        name=reader.text("name"),
        family=reader.text("family"),
        config=reader.text_or_none("config"),
        target=reader.text("target"),
        noise=_read_noise(reader.at("noise")),
        truncation=bool(reader.value("truncation", bool, "true or false")),
        transform=None if reader.table["transform"] is None else reader.matrix("transform", 3),
        z_dim=reader.number("z_dim", low=0, high=LARGEST),
        c_dim=reader.number("c_dim", low=0, high=LARGEST),
        w_dim=reader.number("w_dim", low=1, high=LARGEST),
        num_ws=reader.number("num_ws", low=1, high=LARGEST),
        img_resolution=reader.number("img_resolution", low=1, high=LARGEST),
        img_channels=reader.number("img_channels", low=1, high=LARGEST),
        weights=WeightSource(
            weights.text("source"),
            weights.text_or_none("sha256"),
            bool(weights.value("random", bool, "true or false")),
            _read_storage(weights),
        ),
        graphs={name: _read_graph(graphs.at(name)) for name in ("mapping", "synthesis")},
        files={files.named(name): _read_record(files.at(name)) for name in files.table},
        made_by=reader.at("made_by").texts(),
    )
    planes = [manifest.noise.planes] if manifest.noise.planes else []
    for names in (*((graph.param, graph.bin) for graph in manifest.graphs.values()), planes):
        for name in names:
            if name not in manifest.files:
                raise BundleError(f"the manifest does not list its file {name}", file=str(path))
    if manifest.num_ws * manifest.w_dim > MOST_STYLES:
        raise BundleError(
            "the manifest's 'num_ws' and 'w_dim' are too large together",
            file=str(path),
            expected=f"at most {MOST_STYLES} numbers",
            got=f"{manifest.num_ws} x {manifest.w_dim}",
        )
    _check_inputs(manifest)
    inputs = manifest.graphs["synthesis"].inputs
    if any(inputs.get(layer.input) != layer.shape for layer in manifest.noise.layers.values()):
        raise BundleError(
            "the manifest's 'noise' and the inputs of its synthesis graph disagree",
            file=str(path),
            expected="each layer's input, in its shape",
        )
    if (manifest.transform is None) == ("transform" in inputs):
        raise BundleError(
            "the manifest's 'transform' and the inputs of its synthesis graph disagree",
            file=str(path),
            expected="both or neither",
        )
    return manifest


def _check_inputs(manifest: Manifest) -> None:
    """The sizes that the manifest states are those of its graphs' inputs, which a Model compares with the nets."""
    style = ((manifest.w_dim,), (manifest.num_ws, manifest.w_dim))
    latent = {"z": ((manifest.z_dim,),)} if manifest.z_dim else {}
    labels = {"c": ((manifest.c_dim,),)} if manifest.c_dim else {}
    wanted: dict[str, dict[str, tuple[tuple[int, ...], ...]]] = {
        "mapping": {**latent, "coeff": ((1,),), **labels},
        "synthesis": {"ws0": style, "ws1": style, "mixing": ((manifest.num_ws,),)},
    }
    if not manifest.z_dim and "z" in manifest.graphs["mapping"].inputs:
        raise BundleError(
            "the manifest's sizes and the input z of its mapping graph disagree",
            file=str(manifest.path),
            expected="no such input where z_dim is 0",
        )
    for graph, inputs in wanted.items():
        for name, shapes in inputs.items():
            found = manifest.graphs[graph].inputs.get(name)
            if found not in shapes:
                raise BundleError(
                    f"the manifest's sizes and the input {name} of its {graph} graph disagree",
                    file=str(manifest.path),
                    expected=" or ".join(str(list(shape)) for shape in shapes),
                    got="no such input" if found is None else str(list(found)),
                )


def _read_storage(reader: Reader) -> str:
    """Bundles that were exported before there was a choice do not say it."""
    storage = reader.text("storage") if "storage" in reader.table else STORAGES[0]
    if storage not in STORAGES:
        raise reader.bad("storage", " or ".join(STORAGES), storage)
    return storage


def _read_graph(reader: Reader) -> GraphFiles:
    return GraphFiles(
        param=reader.file_name("param"),
        bin=reader.file_name("bin"),
        inputs=reader.at("inputs").shapes(),
        outputs=reader.at("outputs").shapes(),
        taps=reader.at("taps").texts(),
    )


def _read_noise(reader: Reader) -> NoiseInputs:
    mode = reader.text("mode")
    if mode not in NOISE_MODES:
        raise reader.bad("mode", " or ".join(NOISE_MODES), mode)
    layers = reader.at("layers")
    noise = NoiseInputs(
        mode=mode,
        planes=None
        if reader.value("planes", (str, type(None)), "a file or null") is None
        else reader.file_name("planes"),
        layers={
            name: NoiseLayer(layers.at(name).text("input"), layers.at(name).sizes("shape")) for name in layers.table
        },
    )
    if (noise.planes is not None) != (mode == "input"):
        raise reader.bad("planes", "a file where mode is input, else null", noise.planes)
    if noise.layers and mode in ("const", "none"):
        raise reader.bad("layers", f"none where mode is {mode}", list(noise.layers))
    return noise


def _read_record(reader: Reader) -> FileRecord:
    return FileRecord(reader.number("bytes", low=0), reader.text("sha256"))
