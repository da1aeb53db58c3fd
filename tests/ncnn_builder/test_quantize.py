"""The planner of few bits: budgets are kept on data it did not see, files are the same twice, certificates verify."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from net_files import floats, lines_of, net_files
from precision_nets import TAG, all_int8, convolutions, samples, written

import ncnn_builder as nb
import runtime
from ncnn_builder.__main__ import main
from ncnn_builder.doctor.options import Options
from ncnn_builder.errors import BuildError
from ncnn_builder.precision.budget import Budget
from ncnn_builder.precision.calibrate import thresholds
from ncnn_builder.precision.forms import tabled
from ncnn_builder.precision.int8 import STEPS, WINOGRAD_LIMIT, winograd_steps
from ncnn_builder.precision.measures import errors_of
from ncnn_builder.precision.net_files import loaded, ran, read_net_files
from ncnn_builder.precision.pair import examine
from ncnn_builder.precision.plan import Candidate
from ncnn_builder.precision.rescale import rescaled
from ncnn_builder.precision.search import packed
from ncnn_builder.precision.verify import verify


def data_file(folder: Path, count: int = 8) -> str:
    np.savez(folder / "x.npz", **{"in": np.stack([s["in"] for s in samples(count)])})
    return str(folder / "x.npz")


def test_a_budget_is_kept_and_two_runs_have_the_same_bytes(tmp_path: Path) -> None:
    net, data, device = convolutions(tmp_path), data_file(tmp_path), tmp_path / "device.json"
    done = nb.quantize_net(net.path, data, tmp_path / "a", budget="psnr=35", aim="size", device=device)
    again = nb.quantize_net(net.path, data, tmp_path / "a", budget="psnr=35", aim="size", device=device)
    assert done.files == again.files and set(done.files) == {"a.param", "a.bin", "a.json", "a.html"}
    assert all((tmp_path / name).read_bytes() == content for name, content in done.files.items())
    assert set(done.choice.values()) == {"int8"} and len(done.choice) == 5
    c = done.certificate
    assert c["bytes"]["after"] < 0.35 * c["bytes"]["before"] and c["held_out"]["samples"] == 2
    # measured here, from the files, on the samples that are held out
    held = [s for i, s in enumerate(samples(8)) if i % 4 == 3]
    made = read_net_files(tmp_path / "a.param")
    got, right = ([ran(n, loaded(n, threads=1), s)["out"] for s in held] for n in (made, net))
    found = errors_of(got, right)
    assert found.psnr >= 35 and found.as_json() == c["held_out"]["outputs"]["out"]
    assert [la["form"] for la in c["layers"]] == ["int8"] * 4 + ["fp32", "int8"] and all(
        la["why"] for la in c["layers"]
    )
    tighter = nb.quantize_net(net.path, data, budget="psnr=60", aim="size", device=device)
    assert tighter.certificate["held_out"]["outputs"]["out"]["psnr"] >= 60 and "int8" in done.choice.values()
    assert tighter.certificate["bytes"]["after"] > c["bytes"]["after"]
    forms = ("fp16", "table")
    weights = nb.quantize_net(net.path, data, budget="max=1e-3,cosine=0.99", aim="size", forms=forms, device=device)
    assert set(weights.choice.values()) <= set(forms)
    assert weights.certificate["held_out"]["outputs"]["out"]["max"] <= 1e-3


def best_class(outputs: list[Any], samples_: list[Any]) -> float:
    """A metric: how large the outputs are, which int8 changes little."""
    return float(np.mean([np.abs(o["out"]).mean() for o in outputs]))


def broken(outputs: list[Any], samples: list[Any]) -> float:
    return len(outputs) / 0


def words(outputs: list[Any], samples: list[Any]) -> str:
    return "good"


def no_number(outputs: list[Any], samples: list[Any]) -> float:
    return float("nan")


def nothing() -> None:
    """Data that are none."""


def two_at_once() -> list[Any]:
    return [{"in": np.zeros((2, 3, 12, 12), np.float32)}] * 4


def test_the_commands(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    net, data, device = str(convolutions(tmp_path).path), data_file(tmp_path, 5), str(tmp_path / "device.json")
    out = str(tmp_path / "o")
    common = [net, "--data", data, "--out", out, "--device", device, "--aim", "size", "--quiet"]
    for budget, said in (
        ("psnr=400", "nothing reaches this budget; expected psnr=400; got psnr="),
        ("max=0", "nothing reaches this budget"),
        ("psnr=x", "bad budget"),
        ("quality=3", "bad budget"),
        ("metric=test_quantize:none:drop=1", "the metric cannot be used"),
        ("metric=test_quantize:broken:drop=1", "the metric raised ZeroDivisionError: division by zero (test_quantize"),
        ("metric=test_quantize:words:drop=1", "the metric returned no number; expected a number; got 'good'"),
        ("metric=test_quantize:no_number:drop=1", "the metric of the net as it is; expected a finite number; got nan"),
    ):
        assert main(["quantize", *common, "--budget", budget]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
    np.savez(tmp_path / "one.npz", **{"in": samples(1)[0]["in"]})
    assert main(["quantize", net, "--data", str(tmp_path / "one.npz"), "--out", out, "--device", device]) == 2
    assert "too few samples" in capsys.readouterr().err
    assert main(["quantize", *common, "--forms", "int4"]) == 2 and "bad forms" in capsys.readouterr().err
    for given, said in (
        ("test_quantize:nothing", "test_quantize:nothing returned NoneType; expected samples"),
        ("test_quantize:two_at_once", "input in is no single sample; expected [3, 12, 12]; got [2, 3, 12, 12]"),
    ):
        assert main(["quantize", net, "--data", given, "--out", out, "--device", device]) == 2
        assert said in (error := capsys.readouterr().err) and error.count("\n") == 1, error
    table = tmp_path / "t.json"
    for held, said in (
        ("no table", "is no table of a device: Expecting value"),
        ("[1]", "it has no schema"),
        ('{"schema": 0}', "its schema is 0, and that of this version 1"),
        ('{"schema": 1, "machine": "a", "seconds": {"k": -1}}', "-1 of 'k' is no time"),
        ('{"schema": 1, "machine": "a", "seconds": {}}', "is of a, and lacks a layer of this net"),
    ):
        table.write_text(held)
        assert main(["quantize", *common[:-3], "--device", str(table)]) == 2
        assert said in (error := capsys.readouterr().err.splitlines()[-1]), error
        assert table.read_text() == held
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert main(["quantize", net, "--data", data, "--out", net.removesuffix(".param")]) == 2
    assert "write over what is read" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert not list(tmp_path.glob("o.*"))  # nothing half-written
    assert main(["quantize", *common, "--budget", "metric=test_quantize:best_class:drop=0.5"]) == 0
    assert "metric=" in capsys.readouterr().out
    assert main(["verify", out]) == 0 and "kept: metric=" in capsys.readouterr().out
    assert main(["verify", out, "--data", "nowhere.npz"]) == 2
    capsys.readouterr()
    page = (tmp_path / "o.html").read_text()
    assert page.count("<tr>") > 6 and "http" not in page and "<script" not in page


def test_a_certificate_is_of_its_files_and_data(tmp_path: Path) -> None:
    net, data = convolutions(tmp_path), data_file(tmp_path)
    nb.quantize_net(net.path, data, tmp_path / "o", budget="psnr=35", aim="size", device=tmp_path / "d.json")
    assert verify(tmp_path / "o").kept and not verify(tmp_path / "o.json").changed
    whole = (tmp_path / "o.bin").read_bytes()
    at = len(whole) // 2
    (tmp_path / "o.bin").write_bytes(whole[:at] + bytes(64) + whole[at + 64 :])
    assert verify(tmp_path / "o").changed == [str(tmp_path / "o.bin")]
    (tmp_path / "o.bin").write_bytes(whole)
    np.savez(tmp_path / "x.npz", **{"in": np.stack([s["in"] for s in samples(8, seed=9)])})
    found = verify(tmp_path / "o")
    assert len(found.changed) == 1 and "x.npz" in found.changed[0]
    said = json.loads((tmp_path / "o.json").read_text())
    (tmp_path / "o.json").write_text(json.dumps({**said, "budget": "psnr=90"}))
    assert not verify(tmp_path / "o").kept
    (tmp_path / "o.json").write_text("{}")
    with pytest.raises(nb.ReadError, match="no certificate"):
        verify(tmp_path / "o")


def test_channels_are_equalised_and_biases_corrected(tmp_path: Path) -> None:
    """A channel 30 times as loud as the others, which the next layer takes back: one scale for the blob is bad."""
    net = convolutions(tmp_path, gain=1.0)
    layers = {la.name: la for la in net.layers}
    for name, factor in (("c1", 30.0), ("c2", 1 / 30)):
        layers[name].weights["weight"] = layers[name].weights["weight"].copy()
        layers[name].weights["weight"].reshape(16, -1)[:4] *= factor
    written(net, tmp_path, "loud")
    data, device = data_file(tmp_path), tmp_path / "d.json"
    spent = {}
    for equalise in (False, True):
        done = nb.quantize_net(
            tmp_path / "loud.param", data, budget="psnr=20", aim="size", forms=("int8",), methods=("minmax",),
            equalise=equalise, correct=False, device=device,
        )  # fmt: skip
        spent[equalise] = done.certificate["held_out"]["outputs"]["out"]["psnr"]
    assert spent[True] > spent[False] + 2, spent
    done = nb.quantize_net(net.path, data, budget="psnr=20", aim="size", forms=("int8",), device=device)
    corrected = [la["name"] for la in done.certificate["layers"] if la.get("int8", {}).get("bias_corrected")]
    assert len(corrected) >= 3, corrected  # only where the layer is nearer with it


def test_small_parts() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.standard_normal(20000), [40.0]]).astype(np.float32)  # one outlier
    ends = thresholds([values])
    assert ends["minmax"] == 40 and all(2 < ends[m] < 20 for m in ("percentile", "kl")) and ends["mse"] < 40
    assert thresholds([np.zeros(4, np.float32)]) == dict.fromkeys(ends, 0.0)
    even = thresholds([np.linspace(-1, 1, 9999, dtype=np.float32)])  # nothing may be cut off
    assert all(0.98 < end <= 1 for end in even.values()), even
    table = tabled(values)
    assert len(np.unique(table)) == 256 and np.sqrt(np.mean((table - values) ** 2)) < 40 / 127 / 12**0.5 / 2
    assert np.array_equal(tabled(table), table)
    # all weights and inputs the largest at once: as many steps as the sum bears
    rows = np.ones((1, 9 * 64), np.float32)
    (steps,) = winograd_steps(rows)
    assert (
        steps * STEPS * 9 * 64 <= WINOGRAD_LIMIT < (steps + 2) * STEPS * 9 * 64 and winograd_steps(rows, 100.0) == STEPS
    )
    budget = Budget.parse("psnr=40, max=0.5")
    m = budget.measure([{"o": values + np.float32(0.25)}], [{"o": values}], [{}])
    assert budget.spent(m, m) == pytest.approx(max((0.25 / 0.5) ** 2, 10 ** ((40 - m.worst.psnr) / 10)))
    assert not budget.kept(budget.measure([{"o": values * np.nan}], [{"o": values}], [{}]), m)
    choices = (("a", "fp16", 0.01, 5), ("a", "int8", 0.5, 9), ("b", "int8", 0.6, 8))
    items = [Candidate(name, form, spent, m, 0.0, size) for name, form, spent, size in choices]
    assert packed(items, 0.02, lambda c: c.bytes) == {"a": "fp16"}
    assert packed(items, 0.7, lambda c: c.bytes) == {"a": "fp16", "b": "int8"}
    assert packed(items, 1.2, lambda c: c.bytes) == {"a": "int8", "b": "int8"}
    with pytest.raises(BuildError, match="below 1"):
        Budget.parse("cosine=1")


def blocks(folder: Path) -> tuple[Path, Path]:
    """Of what ncnnllm2int (method=mseclip bits=6 block=32) made tests/ncnn_builder/ncnns_tools/ncnnllm2int.param."""
    rng = np.random.default_rng(7)
    parts = [(16 * 75, True), (16, True), *[(256, True), (16, False)] * 4]
    lines = [
        "Input in0 0 1 in0 0=75 1=5",
        "Gemm gemm 1 1 in0 b1 3=1 5=1 6=1 8=16 9=75 10=4",
        "MultiHeadAttention mha 1 1 b1 out0 0=16 1=2 2=256 3=16 4=16 6=3.5e-1",
    ]
    data = b"".join((TAG if tagged else b"") + floats(rng.standard_normal(n) / n**0.25) for n, tagged in parts)
    return net_files(folder, lines_of(*lines), data)


def test_what_ncnns_tools_write_stays(tmp_path: Path) -> None:
    """Byte by byte, also through a graph: convolutions() as ncnn2int8, ncnnoptimize (fp16) and we have written it, and
    what ncnnllm2int of July 2026 makes of blocks(), with tags that ncnn no longer reads."""
    net, folder = convolutions(tmp_path), Path(__file__).with_name("ncnns_tools")
    written(all_int8(net, samples()), tmp_path, "ours")
    for path in (*sorted(folder.glob("*.param")), tmp_path / "ours.param"):
        nb.save(nb.load(path, path.with_suffix(".bin")), tmp_path / "r.param", tmp_path / "r.bin", target="reference")
        for suffix in (".param", ".bin"):
            assert (tmp_path / f"r{suffix}").read_bytes() == path.with_suffix(suffix).read_bytes(), path
        if path.stem != "ncnnllm2int":
            assert examine(net, read_net_files(path), samples(), tolerance=0.03, price=False).equal
    given, now = (folder / "ncnnllm2int.param", folder / "ncnnllm2int.bin"), (tmp_path / "n.param", tmp_path / "n.bin")
    with pytest.raises(runtime.WeightsError, match="behind a tag") as error:
        runtime.Net(*given)
    assert "layer gemm (Gemm)" in str(error.value) and 'target="stock"' in str(error.value)
    nb.save(nb.load(*given), *now, target="stock")
    assert now[1].stat().st_size == given[1].stat().st_size - 5 * 4  # the tags of five weights
    x = {"in0": np.random.default_rng(8).standard_normal((5, 75)).astype(np.float32)}
    got, right = (runtime.Net(*files).run(x)["out0"] for files in (now, blocks(tmp_path)))
    assert 0 < errors_of([got], [right]).relative < 0.06


def test_numbers_that_fp16_cannot_hold_are_rescaled_or_masked(tmp_path: Path) -> None:
    """A phone's default is fp16: the finished net is right there too, which the net as it was is not."""
    data, device = data_file(tmp_path), tmp_path / "d.json"
    for name, gain, clip, masks in (
        ("large", 3e5, False, {}),
        ("small", 1e-7, False, {}),
        ("clipped", 3e5, True, {"c1": 3, "c2": 3}),  # what is clipped cannot be scaled
    ):
        net = convolutions(tmp_path, name, gain)
        if clip:
            net.layers[1].params.update(activation_type=3, activation_params=(-1e9, 1e9))
            net = written(net, tmp_path, name)
        done = nb.quantize_net(net.path, data, tmp_path / "o", aim="size", forms=("fp16",), device=device)
        layers = {la["name"]: la for la in done.certificate["layers"]}
        assert {n: la["mask"] for n, la in layers.items() if la["mask"]} == masks
        assert [n for n, la in layers.items() if "rescaled" in la] == ([] if masks else ["c1"])
        assert ("takes back" in (tmp_path / "o.html").read_text()) != bool(masks)
        made = read_net_files(tmp_path / "o.param")
        outputs = [examine(n, n, samples(), Options.parse("fp16"), price=False).outputs for n in (net, made)]
        assert outputs[0].relative > 0.01 and outputs[1].relative < 5e-3, (name, outputs)
    # weights beyond 65504 in a layer whose input and result are small
    net = convolutions(tmp_path, "heavy")
    for name, factor in (("c1", 2.0**-20), ("c3", 2.0**20)):
        (layer,) = (la for la in net.layers if la.name == name)
        layer.params.update(activation_type=3, activation_params=(-1e9, 1e9))  # not to be rescaled
        layer.weights.update(
            (k, v * np.float32(factor)) for k, v in layer.weights.items() if name == "c1" or k != "bias"
        )
    heavy = nb.quantize_net(
        written(net, tmp_path, "heavy").path, data, budget="psnr=40", aim="size", forms=("fp16", "bf16"), device=device
    )
    assert heavy.choice["c3"] == "bf16" and heavy.choice["c4"] == "fp16", heavy.choice
    plain = convolutions(tmp_path, "net", 3e5)
    scaled, factors = rescaled(plain, {"b1": (1.0, 1e6)})
    assert factors == {"c1": 2.0**-12}
    same = [ran(n, loaded(n, threads=1), samples()[0])["out"] for n in (plain, scaled)]
    assert np.array_equal(*same)


def test_words_recurrence_and_attention(tmp_path: Path) -> None:
    """Layers that find their scales as they run, weights in blocks, and an input of whole numbers."""
    rng = np.random.default_rng(4)
    lines = [
        "Input in 0 1 in 0=6",
        "Embed e 1 1 in b1 0=32 1=20 2=0 3=640",
        "LSTM l 1 1 b1 b2 0=32 1=4096",
        "MultiHeadAttention m 1 1 b2 out 0=32 1=4 2=1024 3=32 4=32 5=0 6=3.5e-1",
    ]
    parts = [(640, 1), (4096, 1), (128, 1), (4096, 1), *[(1024, 1), (32, 0)] * 4]
    data = b"".join((TAG if tagged else b"") + floats(rng.standard_normal(n) / n**0.25) for n, tagged in parts)
    net = read_net_files(net_files(tmp_path, lines_of(*lines), data)[0])
    words = [{"in": rng.integers(0, 20, 6)} for _ in range(6)]
    done = nb.quantize_net(net.path, words, tmp_path / "o", budget="psnr=30", aim="size", device=tmp_path / "d.json")
    assert done.choice.keys() == {"e", "l", "m"} and done.choice["e"] == done.choice["l"] == "int8"
    assert done.choice["m"].startswith("block") and done.certificate["bytes"]["after"] < 0.3 * 4 * 14300
    assert done.certificate["held_out"]["outputs"]["out"]["psnr"] >= 30
    with pytest.raises(nb.ReadError, match="where its data are"):  # they were given in Python
        verify(tmp_path / "o")
