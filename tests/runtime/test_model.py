"""A bundle: what it computes, and what its manifest must say."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from runtime_nets import write_bundle

import runtime.manifest
from runtime import BundleError, InputError, Model, OptionError, ParamError, WeightsError, transform_matrix
from runtime.manifest import load_manifest
from runtime.model import RandomWeightsWarning

SCHEMA = json.loads((Path(runtime.manifest.__file__).with_name("manifest.schema.json")).read_text())


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path)


def reference(bundle: Path) -> dict[str, np.ndarray]:
    return dict(np.load(bundle.with_suffix(".npz")))


def expected_image(bundle: Path, ws: np.ndarray, shape: tuple[int, ...] = (3, 5, 6)) -> np.ndarray:
    return (reference(bundle)["to_pixels"] @ np.asarray(ws).reshape(-1)).reshape(shape)


@pytest.mark.parametrize("psi", [1, 0.7, 0, -0.5])
def test_mapping(bundle: Path, psi: float) -> None:
    r, z = reference(bundle), np.random.default_rng(0).standard_normal(6)
    w = Model(bundle).mapping(z, psi=psi)
    assert w.shape == (4,) and w.dtype == np.float32
    np.testing.assert_allclose(w, r["mean"] + psi * (r["matrix"] @ z - r["mean"]), atol=1e-5)


def test_synthesis_of_one_style_and_of_one_for_each_layer(bundle: Path) -> None:
    model = Model(bundle.with_suffix(""), threads=1)
    w, ws = np.random.default_rng(1).standard_normal(4), np.random.default_rng(2).standard_normal((3, 4))
    np.testing.assert_allclose(model.synthesis(w), expected_image(bundle, np.tile(w, (3, 1))), atol=1e-5)
    np.testing.assert_allclose(model.synthesis(ws), expected_image(bundle, ws), atol=1e-5)


@pytest.mark.parametrize("mixing", [[1, 0, 0], [0, 1, 1], [0.25, 0.5, 1], np.array([True, False, True])])
@pytest.mark.parametrize("plus", [False, True])
def test_mixing(bundle: Path, mixing: Any, plus: bool) -> None:
    a, b = np.random.default_rng(3).standard_normal((2, 3, 4) if plus else (2, 4))
    wide = [w if plus else np.tile(w, (3, 1)) for w in (a, b)]
    m = np.asarray(mixing, float)[:, None]
    want = expected_image(bundle, wide[0] * (1 - m) + wide[1] * m)
    np.testing.assert_allclose(Model(bundle).synthesis(a, b, mixing), want, atol=1e-5)


def test_a_style_of_each_kind_can_be_mixed(bundle: Path) -> None:
    a, b = np.random.default_rng(4).standard_normal(4), np.random.default_rng(5).standard_normal((3, 4))
    want = expected_image(bundle, np.stack([a, b[1], a]))
    np.testing.assert_allclose(Model(bundle).synthesis(a, b, [0, 1, 0]), want, atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3])
def test_image_levels(tmp_path: Path, channels: int) -> None:
    path = write_bundle(tmp_path, channels=channels)
    model = Model(path)
    w = np.random.default_rng(6).standard_normal(4)
    picture = model.image(w)
    assert picture.shape == (5, 6, channels) and picture.dtype == np.uint8 and picture.flags.c_contiguous
    want = np.clip(model.synthesis(w) * 127.5 + 128, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    np.testing.assert_array_equal(picture, want)
    assert {0, 255} <= set(model.image(w * 100).ravel()), "clipped, not wrapped"


def test_labels(tmp_path: Path) -> None:
    path = write_bundle(tmp_path, c_dim=2)
    model, r, z = Model(path), reference(path), np.random.default_rng(7).standard_normal(6)
    np.testing.assert_allclose(model.mapping(z, c=[0, 1]), r["matrix"] @ np.concatenate([z, [0, 1]]), atol=1e-5)
    with pytest.raises(InputError, match=r"has labels and none is given; expected c of \[2\]"):
        model.mapping(z)
    with pytest.raises(InputError, match=r"c has the wrong shape; expected \[2\]; got \[3\]"):
        model.mapping(z, c=[0, 1, 0])


OWN = [[0.9, 0.1, 0.0], [-0.1, 0.9, 0.5], [0, 0, 1]]


def test_transform(tmp_path: Path) -> None:
    path = write_bundle(tmp_path, transform=OWN)
    model, w = Model(path), np.random.default_rng(8).standard_normal(4)
    given = transform_matrix(rotate=30, translate=(0.2, -0.1))
    for matrix, picture in (
        (OWN, model.synthesis(w)),
        (given, model.synthesis(w, transform=given)),
        (given, model.synthesis(w, w, [0, 1, 0], transform=given.tolist())),
    ):
        want = expected_image(path, np.concatenate([np.tile(w, 3), np.ravel(matrix)]))
        np.testing.assert_allclose(picture, want, atol=1e-5)
    assert (model.image(w, transform=given) != model.image(w)).any()
    for bad, says in (
        (np.eye(2), r"transform has the wrong shape; expected \[3, 3\]; got \[2, 2\]"),
        (np.ones(9), r"got \[9\]"),
        (np.full((3, 3), np.nan), "transform holds numbers that are NaN"),
        ("turn", "transform has the wrong type"),
    ):
        with pytest.raises(InputError, match=says):
            model.synthesis(w, transform=bad)


def test_transform_matrix() -> None:
    """The matrix takes a pixel to where it came from: the inverse of the movement."""
    np.testing.assert_array_equal(transform_matrix(), np.eye(3))
    turn = transform_matrix(rotate=90)
    np.testing.assert_allclose(turn @ [0, -1, 1], [1, 0, 1], atol=1e-6)  # what is at the top was at the right
    np.testing.assert_allclose(transform_matrix(translate=(0.25, 0.5)) @ [0, 0, 1], [-0.25, -0.5, 1])
    both = transform_matrix(30, (0.1, 0.2))
    np.testing.assert_allclose(both, transform_matrix(30) @ transform_matrix(translate=(0.1, 0.2)), atol=1e-6)
    turned = transform_matrix(30, (0.1, 0.2), zoom=2)
    np.testing.assert_allclose(transform_matrix(zoom=0.01), np.diag([100, 100, 1]), rtol=1e-6)  # both ends are in it
    np.testing.assert_allclose(transform_matrix(zoom=100), np.diag([0.01, 0.01, 1]), rtol=1e-6)
    np.testing.assert_allclose(turned @ [0.1, 0.2, 1], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(turned[:2, :2], both[:2, :2] / 2, atol=1e-6)
    for arguments, says in (
        ((float("nan"),), "rotate holds numbers that are NaN"),
        (("x",), "rotate is not a number"),
        ((0, 3), "translate is not two numbers; got 3"),
        ((0, (1,)), "translate is not two numbers"),
        ((0, (1, "a")), "translate is not a number"),
        ((1e9,), "rotate is out of range"),
        ((0, (0, 0), 0), "zoom is out of range; expected 0.01 to 100; got 0"),
        ((0, (0, 0), "x"), "zoom is not a number"),
        ((0, (0, 1e4)), "translate is out of range; expected -1000 to 1000; got 10000"),
    ):
        with pytest.raises(InputError, match=says):
            transform_matrix(*arguments)


BAD_CALLS: list[tuple[Callable[[Model], object], str]] = [
    (lambda m: m.mapping(np.ones(7)), r"z has the wrong shape; expected \[6\]; got \[7\]"),
    (lambda m: m.mapping(np.ones((1, 6))), r"z has the wrong shape"),
    (lambda m: m.mapping(np.full(6, np.nan)), "z holds numbers that are NaN"),
    (lambda m: m.mapping(np.full(6, 1e300)), "z holds numbers that are NaN, infinite or too large"),
    (lambda m: m.mapping(np.ones(6), psi=1e300), "psi holds numbers that are NaN, infinite or too large"),
    (lambda m: m.synthesis(np.full(4, np.inf)), "w holds numbers that are NaN, infinite or too large"),
    (lambda m: m.image(np.full(4, 3e38)), "the picture is not finite"),
    (lambda m: m.mapping(["a"] * 6), "z has the wrong type"),
    (lambda m: m.mapping(np.ones(6), psi=np.nan), "psi holds numbers that are NaN"),
    (lambda m: m.mapping(np.ones(6), psi="much"), "psi is not a number; got 'much'"),
    (lambda m: m.mapping(np.ones(6), psi=True), "psi is not a number; got True"),
    (lambda m: m.mapping(np.ones(6), psi=[1.0]), "psi is not a number"),
    (lambda m: m.mapping(np.ones(6), psi=10**400), "psi is not a number"),
    (lambda m: m.synthesis(np.ones(4), transform=np.eye(3)), "takes no transform. Export StyleGAN3 with --transform-"),
    (lambda m: m.mapping(np.ones(6), c=[1]), "the model has no labels"),
    (lambda m: m.synthesis(np.ones(5)), r"w has the wrong shape; expected \[4\] or \[3, 4\]; got \[5\]"),
    (lambda m: m.synthesis(np.ones((4, 3))), r"got \[4, 3\]"),
    (lambda m: m.synthesis(np.ones(4), np.ones(5), [0, 0, 0]), "w1 has the wrong shape"),
    (lambda m: m.synthesis(np.ones(4), np.ones(4)), "belong together; got only w1"),
    (lambda m: m.synthesis(np.ones(4), mixing=[0, 0, 0]), "belong together; got only mixing"),
    (lambda m: m.synthesis(np.ones(4), np.ones(4), [0, 0]), r"mixing has the wrong shape; expected \[3\]"),
    (lambda m: m.synthesis(np.ones(4), np.ones(4), [0, 1.5, 0]), "expected 0 to 1; got 1.5 at 1"),
    (lambda m: m.synthesis(np.ones(4), np.ones(4), [0, 0, -0.1]), "mixing has a bad number"),
    (lambda m: m.synthesis(np.ones(4), np.ones(4), [0, np.nan, 0]), "mixing holds numbers that are NaN"),
    (lambda m: m.image(np.full(4, np.nan)), "w holds numbers that are NaN"),
]


@pytest.mark.parametrize(("call", "says"), BAD_CALLS)
def test_bad_arguments(bundle: Path, call: Callable[[Model], object], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        call(Model(bundle))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("psi", [np.float32(0.5), np.array(0.5), np.int64(2), Fraction(1, 2)])
def test_psi_may_be_a_number_of_any_kind(bundle: Path, psi: Any) -> None:
    model, z = Model(bundle), np.random.default_rng(8).standard_normal(6)
    np.testing.assert_array_equal(model.mapping(z, psi), model.mapping(z, float(psi)))


def test_random_weights_warn(tmp_path: Path) -> None:
    path = write_bundle(tmp_path, random=True)
    with pytest.warns(RandomWeightsWarning, match=r"tiny.json holds random weights \(random:0\)") as caught:
        Model(path)
    assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model(write_bundle(tmp_path, "trained"))


def test_options_reach_the_nets(bundle: Path) -> None:
    assert Model(bundle, threads=1, winograd=False).synthesis_net.threads == 1
    assert Model(bundle, threads=np.int64(2)).synthesis_net.threads == 2
    for threads in (0, 1025, True, 1.5, "2"):
        with pytest.raises(OptionError, match="a bad number of threads"):
            Model(bundle, threads=threads)
    with pytest.raises(TypeError):
        Model(bundle, no_such_option=True)


# What is wrong with the manifest


def rewrite(bundle: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    data = json.loads(bundle.read_text())
    change(data)
    bundle.write_text(json.dumps(data))
    return bundle


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100000, "not JSON"),
        (b"[1]", "is not a JSON object"),
        (b"{}", "not a bundle of ncnn_builder"),
        (b'{"format": "other"}', "not a bundle of ncnn_builder"),
    ],
)
def test_foreign_manifests(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=says):
        Model(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(format_version=3), "newer format; expected version 2; got version 3"),
        (lambda d: d.update(format_version=0), "'format_version' has a bad value"),
        (lambda d: d.update(format_version=1), "'noise' has a bad value; expected no such key in version 1"),
        (lambda d: d.pop("format_version"), "no key 'format_version'"),
        (lambda d: d.pop("z_dim"), "the manifest lacks keys; expected version 2, with z_dim; got version 2, without"),
        (lambda d: d["noise"].update(mode="loud"), "'noise.mode' has a bad value; expected const or none or random or"),
        (lambda d: d["noise"].update(planes="x.bin"), "'noise.planes' has a bad value; expected a file where mode is"),
        (lambda d: d["noise"].update(mode="input"), "'noise.planes' has a bad value"),
        (lambda d: d["noise"].update(mode="input", planes="x.bin"), "does not list its file x.bin"),
        (lambda d: d["noise"].update(layers={"b4": {"input": "n", "shape": [2, 2]}}), "'noise.layers' has a bad value"),
        (
            lambda d: d["noise"].update(mode="random", layers={"b4": {"input": "n", "shape": [2, 2]}}),
            "'noise' and the inputs of its synthesis graph disagree",
        ),
        (lambda d: d["noise"].update(mode="random", layers={"b4": {"input": "n"}}), "no key 'noise.layers.b4.shape'"),
        (lambda d: d["graphs"].pop("mapping"), "no key 'graphs.mapping'"),
        (lambda d: d["graphs"]["mapping"].pop("bin"), "no key 'graphs.mapping.bin'"),
        (lambda d: d["weights"].pop("random"), "no key 'weights.random'"),
        (
            lambda d: d.update(z_dim="6"),
            "'z_dim' has a bad value; expected a whole number from 0 to 1048576; got \"6\"",
        ),
        (lambda d: d.update(z_dim=-1), "'z_dim' has a bad value"),
        (lambda d: d.update(z_dim=0), "the input z of its mapping graph disagree; expected no such input where z_dim"),
        (lambda d: d.update(num_ws=True), "'num_ws' has a bad value"),
        (lambda d: d.update(num_ws=10**30), "'num_ws' has a bad value"),
        (lambda d: d.update(weights=[]), "'weights' has a bad value; expected an object"),
        (lambda d: d["graphs"]["mapping"].update(param="../../etc/passwd"), "the name of a file beside the manifest"),
        (lambda d: d["graphs"]["mapping"].update(param="other.param"), "does not list its file other.param"),
        (lambda d: d["graphs"]["mapping"]["inputs"].update(z=[6, -1]), "'graphs.mapping.inputs.z' has a bad value"),
        (lambda d: d["graphs"]["synthesis"]["inputs"].update(u=[1]), "the synthesis net has not the inputs.*no u"),
        (lambda d: d["graphs"]["synthesis"]["outputs"].update(u=[1]), "has not the outputs of the manifest"),
    ],
)
def test_damaged_manifests(bundle: Path, change: Callable[[dict[str, Any]], object], says: str) -> None:
    jsonschema.validate(json.loads(bundle.read_text()), SCHEMA)
    across_keys = ("does not list its file", "disagree", "the net", "has not the")  # what no schema can say
    if not any(words in says for words in across_keys):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(rewrite(bundle, change).read_text()), SCHEMA)
        bundle = write_bundle(bundle.parent)
    with pytest.raises(BundleError, match=says) as caught:
        Model(rewrite(bundle, change))
    assert caught.value.file


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda d: d.update(transform=None), "'transform' and the inputs of its synthesis graph disagree; expected bo"),
        (lambda d: d["graphs"]["synthesis"]["inputs"].pop("transform"), "disagree"),
        (lambda d: d.update(transform=[[1, 0], [0, 1]]), "'transform' has a bad value; expected 3 rows of 3 finite"),
        (lambda d: d.update(transform=[[1, 0, 0], [0, 1, 0], [0, 0, "1"]]), "'transform' has a bad value"),
        (lambda d: d.update(transform=[[1, 0, 0], [0, 1, 0], [0, 0, True]]), "'transform' has a bad value"),
        (lambda d: d.update(transform=[[1, 0, 0], [0, 1, 0], [0, 0, float("inf")]]), "'transform' has a bad value"),
        (lambda d: d.update(transform=[1, 0, 0]), "'transform' has a bad value"),
    ],
)
def test_bad_transforms_of_a_manifest(tmp_path: Path, change: Callable[[dict[str, Any]], object], says: str) -> None:
    if "disagree" not in says:
        with pytest.raises(jsonschema.ValidationError):
            path = rewrite(write_bundle(tmp_path, transform=OWN), change)
            jsonschema.validate(json.loads(path.read_text()), SCHEMA)
    with pytest.raises(BundleError, match=says):
        Model(rewrite(write_bundle(tmp_path, transform=OWN), change))


@pytest.mark.parametrize("path", ["", ".", "..", "/", "somewhere/..", Path(".")])
def test_a_path_without_a_name(path: str | Path) -> None:
    with pytest.raises(BundleError, match=r"not the name of a model; expected PATH/NAME or PATH/NAME.json; got '"):
        Model(path)


def test_manifest_fields(bundle: Path) -> None:
    manifest = load_manifest(bundle)
    assert (manifest.name, manifest.num_ws, manifest.img_channels, manifest.config) == ("tiny", 3, 3, None)
    assert manifest.graphs["synthesis"].outputs == {"output": (3, 5, 6)}
    assert manifest.files["tiny_mapping.bin"].bytes == bundle.with_name("tiny_mapping.bin").stat().st_size
    manifest.check_files()


def test_a_truncated_bin_is_told_by_the_net(bundle: Path) -> None:
    bin_ = bundle.with_name("tiny_synthesis.bin")
    bin_.write_bytes(bin_.read_bytes()[:100])
    with pytest.raises(WeightsError, match=r"layer draw.*the file is too short"):
        Model(bundle)


def test_a_missing_file(bundle: Path) -> None:
    bundle.with_name("tiny_mapping.param").unlink()
    with pytest.raises(ParamError, match="no such file"):
        Model(bundle)


def test_changed_weights_are_noticed_unless_meant(bundle: Path) -> None:
    bin_ = bundle.with_name("tiny_synthesis.bin")
    data = bytearray(bin_.read_bytes())
    data[50] ^= 1
    bin_.write_bytes(data)
    with pytest.raises(BundleError, match="changed since export: its SHA-256 differs") as caught:
        Model(bundle)
    assert caught.value.file == str(bin_)
    Model(bundle, verify=False)


def test_a_changed_size_is_noticed(bundle: Path) -> None:
    param = bundle.with_name("tiny_mapping.param")
    whole = param.read_text()
    param.write_text(whole + "\n")
    with pytest.raises(BundleError, match=f"it is longer; expected {len(whole)} bytes; got {len(whole) + 1}"):
        Model(bundle)
    param.write_text(whole[:-1])
    with pytest.raises(BundleError, match="truncated"):
        Model(bundle)
