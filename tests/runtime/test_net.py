"""What a net computes, and what happens to memory."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pytest
from runtime_nets import everything, needs_bf16, raw, tagged, write_net

from runtime import InputError, LayerError, Net, OptionError, _ncnn
from runtime.net import layer_types, ncnn_version

SQUARE = ("Input in 0 1 x", "Square square 1 1 x y")


@pytest.fixture
def square(tmp_path: Path) -> Net:
    return Net(*write_net(tmp_path, *SQUARE), threads=2)


@pytest.mark.parametrize(
    "shape",
    [(1,), (5,), (1024,), (3, 5), (1, 1), (3, 5, 7), (4, 4, 4), (1, 1, 1), (2, 3, 5, 7), (8, 2, 2, 4), (16, 9, 9),
     (3, 1, 129)],
)  # fmt: skip
def test_round_trip_in_every_rank(square: Net, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    y = square.run({"x": x})["y"]
    assert y.shape == shape and y.dtype == np.float32
    np.testing.assert_array_equal(y, x * x)


@pytest.mark.parametrize("offset", range(0, 40, 3))
def test_inputs_at_any_address(square: Net, offset: int) -> None:
    memory = np.arange(4000, dtype=np.float32)
    x = memory[offset : offset + 1000].reshape(10, 10, 10)
    np.testing.assert_array_equal(square.run({"x": x})["y"], x * x)


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x.astype(np.float64),
        lambda x: np.asfortranarray(x),
        lambda x: x.transpose(2, 0, 1),
        lambda x: x[::2, ::-1, 1:],
        lambda x: x.astype(">f4"),
        lambda x: x.astype(np.int16),
        lambda x: x > 0,
        lambda x: x.astype(np.float16),
        lambda x: x.tolist(),
    ],
    ids=["float64", "fortran", "transposed", "strided", "big-endian", "int16", "bool", "float16", "list"],
)
def test_other_arrays_are_converted(square: Net, convert) -> None:
    x = convert(np.random.default_rng(1).standard_normal((4, 5, 6)).astype(np.float32) * 3)
    want = np.asarray(x).astype(np.float32)
    np.testing.assert_array_equal(square.run({"x": x})["y"], want * want)


def test_inputs_are_not_written_to(tmp_path: Path) -> None:
    # An activation works in place: the array that was given must keep its values all the same.
    net = Net(*write_net(tmp_path, "Input in 0 1 x", "ReLU relu 1 1 x y 0=0.00000000e+00"))
    x = np.linspace(-1, 1, 64, dtype=np.float32).reshape(4, 4, 4)
    kept = x.copy()
    y = net.run({"x": x}, ["x", "y"])
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_array_equal(y["x"], kept)
    np.testing.assert_array_equal(y["y"], np.maximum(kept, 0))
    y["x"][:] = 7  # a copy: the input is the caller's own
    np.testing.assert_array_equal(x, kept)


def test_every_blob_can_be_tapped_in_both_light_modes(tmp_path: Path) -> None:
    lines, data = everything(np.random.default_rng(3))
    files = write_net(tmp_path, *lines, data=data)
    light, full = Net(*files, threads=2), Net(*files, threads=2, lightmode=False)
    x = np.random.default_rng(4).standard_normal((3, 9, 11))
    alone = light.run({"x": x})
    assert list(alone) == light.outputs == ["pooled", "y"]
    a, b = light.run({"x": x}, light.blobs), full.run({"x": x}, full.blobs)
    for name in light.blobs:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)
        np.testing.assert_array_equal(a[name], light.run({"x": x}, [name])[name], err_msg=name)
    np.testing.assert_array_equal(a["y"], alone["y"])


def test_convolution_against_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    weight, bias = rng.standard_normal((6, 3, 3, 3)).astype("f4"), rng.standard_normal(6).astype("f4")
    line = f"Convolution conv 1 1 x y 0=6 1=3 4=1 5=1 6={weight.size}"
    files = write_net(tmp_path, "Input in 0 1 x", line, data=tagged(weight) + raw(bias))
    x = rng.standard_normal((3, 13, 17)).astype("f4")
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    want = np.einsum("chwij,ocij->ohw", windows, weight) + bias[:, None, None]
    for options in ({}, {"winograd": False}, {"sgemm": False, "winograd": False}, {"packing": False}, {"threads": 1}):
        got = Net(*files, **options).run({"x": x})["y"]
        np.testing.assert_allclose(got, want, atol=2e-4, err_msg=str(options))


def test_half_precision_weights_are_read(tmp_path: Path) -> None:
    weight = np.array([[0.5, -2.0, 3.0]], np.float16)
    data = (0x01306B47).to_bytes(4, "little") + weight.tobytes() + b"\0\0"
    files = write_net(tmp_path, "Input in 0 1 x", "InnerProduct fc 1 1 x y 0=1 1=0 2=3", data=data)
    assert Net(*files).run({"x": [1, 1, 1]})["y"] == pytest.approx([1.5])


def test_results_outlive_the_net_and_are_not_overwritten(tmp_path: Path) -> None:
    net = Net(*write_net(tmp_path, *SQUARE))
    kept = [net.run({"x": np.full((8, 16, 16), i)})["y"] for i in range(20)]
    del net
    gc.collect()
    for i, y in enumerate(kept):
        assert (y == i * i).all()
        y += 1


def test_results_are_not_copied_and_their_memory_comes_back(square: Net) -> None:
    x = np.zeros((8, 16, 16), np.float32)
    y = square.run({"x": x})["y"]
    assert y.base is not None and y.flags.writeable and y.flags.c_contiguous
    held, lent = square.memory
    assert lent >= y.nbytes
    del y
    assert square.memory[1] == 0
    for _ in range(10):
        square.run({"x": x})
    assert square.memory[0] == held, "each run takes the same memory again"


def test_two_outputs_never_share_memory(tmp_path: Path) -> None:
    net = Net(*write_net(tmp_path, *SQUARE, "Split split 1 2 y a b", "Noop keep 1 1 a c"))
    result = net.run({"x": np.ones((2, 4, 4))}, ["y", "a", "b", "c"])
    assert all((array == 1).all() for array in result.values())
    arrays = list(result.values())
    assert not any(np.shares_memory(arrays[i], arrays[j]) for i in range(4) for j in range(i))


def test_weights_handed_out_are_copies(tmp_path: Path) -> None:
    shell = "Shell shell 0 1 w 0=4 1=1 2=1 11=1 3=1 5=0 6=4"
    net = Net(*write_net(tmp_path, shell, data=tagged(np.arange(4.0))))
    net.run({})["w"][:] = 9
    np.testing.assert_array_equal(net.run({})["w"], [0, 1, 2, 3])


def test_concurrent_runs_agree(tmp_path: Path) -> None:
    lines, data = everything(np.random.default_rng(6))
    net = Net(*write_net(tmp_path, *lines, data=data), threads=2)
    xs = [np.random.default_rng(i).standard_normal((3, 9, 11)) for i in range(8)]
    want = [net.run({"x": x}) for x in xs]
    wrong: list[str] = []

    def work(first: int) -> None:
        for i in range(40):
            k = (first + i) % len(xs)
            got = net.run({"x": xs[k]}, ["y", "pooled"] if i % 2 else None)
            wrong.extend(name for name in want[k] if not np.array_equal(got[name], want[k][name]))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    want.clear()
    gc.collect()
    assert net.memory[1] == 0


def test_the_interpreter_runs_on_while_a_net_computes(tmp_path: Path) -> None:
    weight = np.zeros(256 * 256 * 9, np.float32)
    lines = [f"Convolution c{i} 1 1 b{i} b{i + 1} 0=256 1=3 4=1 6={weight.size}" for i in range(4)]
    net = Net(*write_net(tmp_path, "Input in 0 1 b0", *lines, data=tagged(weight) * 4), threads=1)
    x = np.zeros((256, 96, 96), np.float32)
    running, ticks = threading.Event(), 0
    thread = threading.Thread(target=lambda: (running.set(), net.run({"b0": x})))
    thread.start()
    running.wait()
    while thread.is_alive():
        ticks += 1
        thread.join(0.001)
    assert ticks > 3


def test_a_long_chain_needs_no_deep_stack(tmp_path: Path) -> None:
    count = 30000
    lines = ["Input in 0 1 b0", *(f"Noop n{i} 1 1 b{i} b{i + 1}" for i in range(count))]
    net = Net(*write_net(tmp_path, *lines))
    np.testing.assert_array_equal(net.run({"b0": [1, 2]})[f"b{count}"], [1, 2])


def test_only_what_is_asked_for_needs_its_input(tmp_path: Path) -> None:
    net = Net(*write_net(tmp_path, *SQUARE, "Input in2 0 1 u", "Square square2 1 1 u v"))
    assert list(net.run({"u": [3]}, ["v"])["v"]) == [9]
    assert net.run({"u": [3], "x": [2]}, ["v"]).keys() == {"v"}


def test_words_go_to_an_embedding_as_whole_numbers(tmp_path: Path) -> None:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    line = "Embed embed 1 1 x y 0=3 1=4 2=0 3=12"
    net = Net(*write_net(tmp_path, "Input in 0 1 x", line, data=tagged(table)))
    np.testing.assert_array_equal(net.run({"x": np.array([2, 0, 3])})["y"], table[[2, 0, 3]])


def test_words_are_whole_numbers_behind_a_split_too(tmp_path: Path) -> None:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    lines = ["Split s 1 2 x a b", "Embed e 1 1 a y 0=3 1=4 2=0 3=12", "Dequantize d 1 1 b z 0=1 1=0"]
    data = tagged(table) + np.float32([0.5]).tobytes()
    net = Net(*write_net(tmp_path, "Input in 0 1 x", *lines, data=data))
    results = net.run({"x": np.array([2, 0, 3])})
    np.testing.assert_array_equal(results["y"], table[[2, 0, 3]])
    np.testing.assert_array_equal(results["z"], np.float32([1, 0, 1.5]))


def test_where_nothing_was_found_every_reader_gets_nothing(tmp_path: Path) -> None:
    """ncnn runs a layer again whose blob is empty: its inputs are gone by then."""
    boxes = (
        "Yolov3DetectionOutput boxes 1 1 x found 0=2 1=2 2=7.5e-01 3=3.0e-01 -23304=4,1.0e+01,1.4e+01,2.3e+01,2.7e+01"
    )
    anchors = "-23305=2,0.0e+00,1.0e+00 -23306=1,3.2e+01"
    split = "Split split 1 3 found a b c"
    files = write_net(tmp_path, "Input in 0 1 x", f"{boxes} {anchors}", split, "Noop last 1 1 c d")
    x = np.full((14, 2, 2), -3, np.float32)
    for lightmode in (True, False):
        got = Net(*files, threads=1, lightmode=lightmode).run({"x": x}, ["found", "a", "b"])
        assert [got[name].size for name in ("found", "a", "b")] == [0, 0, 0]
    with pytest.raises(LayerError, match=r"layer last \(Noop\): its input 'c' is empty"):
        Net(*files, threads=1).run({"x": x}, ["d"])
    x[4::7] = x[5::7] = 9
    got = Net(*files, threads=1).run({"x": x}, ["a", "b", "d"])
    assert got["a"].shape[1] == 6 and all(np.array_equal(got["a"], got[name]) for name in ("b", "d"))


def test_numbers_to_be_scaled_go_as_whole_numbers(tmp_path: Path) -> None:
    line = "Dequantize d 1 1 x y 0=1 1=0"
    net = Net(*write_net(tmp_path, "Input in 0 1 x", line, data=np.float32([0.5]).tobytes()))
    given = np.array([3, -7, 2**30, -(2**31)])
    np.testing.assert_array_equal(net.run({"x": given})["y"], given.astype(np.float32) / 2)
    with pytest.raises(InputError, match="whole numbers"):
        net.run({"x": np.ones(3, np.float32)})
    with pytest.raises(InputError, match=r"-2147483648\.\.2147483647"):
        net.run({"x": np.array([2**31])})


def test_what_a_net_tells_about_itself(tmp_path: Path) -> None:
    lines = ["Input in 0 1 x 0=7 1=5 2=3", "Input in2 0 1 t", "Split s 1 2 x a b", "Lerp l 3 1 a b t y"]
    param, bin_ = write_net(tmp_path, *lines)
    net = Net(str(param), str(bin_), threads=1)
    assert net.inputs == {"x": (3, 5, 7), "t": None}
    assert net.outputs == ["y"] and net.blobs == ["x", "t", "a", "b", "y"]
    assert net.layers[3] == ("Lerp", "l", ["a", "b", "t"], ["y"]) and net.layers[3].type == "Lerp"
    assert net.threads == 1 and "net.param" in repr(net)
    assert {"Lerp", "Shell", "StyleMixingSwitcher"} <= set(layer_types())
    assert ncnn_version().startswith("1.0.")
    assert Net(param, bin_).threads >= 1


def test_blank_lines_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    param, bin_ = write_net(tmp_path, *SQUARE)
    param.write_bytes(b"\n" + param.read_bytes().replace(b"\n", b"\r\n\r\n") + b"  ")
    assert list(Net(param, bin_).run({"x": [4]})["y"]) == [16]


def test_names_and_paths_beyond_ascii(tmp_path: Path) -> None:
    folder = tmp_path / "é 中文"
    folder.mkdir()
    net = Net(*write_net(folder, "Input in 0 1 größe", "Square s 1 1 größe 面"))
    assert list(net.run({"größe": [3]})["面"]) == [9]


@pytest.mark.parametrize(
    ("options", "tolerance"),
    [
        ({"packing": False}, 1e-5),
        ({"fp16_storage": True, "fp16_packed": True, "fp16_arithmetic": True}, 0.02),
        ({"bf16_arithmetic": True}, 0.05),
        ({"bf16_storage": True}, 0.2),
        ({"bf16_storage": True, "lightmode": False}, 0.2),
    ],
)
def test_other_precisions_give_float32_of_every_blob(
    tmp_path: Path, options: dict[str, bool], tolerance: float
) -> None:
    if "bf16_storage" in options:
        needs_bf16()
    lines, data = everything(np.random.default_rng(8))
    files = write_net(tmp_path, *lines, data=data)
    exact, other = Net(*files), Net(*files, **options)
    x = np.random.default_rng(9).standard_normal((3, 9, 11))
    want, got = exact.run({"x": x}, exact.blobs), other.run({"x": x}, exact.blobs)
    for name in exact.blobs:
        assert got[name].dtype == np.float32
        assert np.abs(got[name] - want[name]).max() <= tolerance * np.abs(want[name]).max(), name


@pytest.mark.parametrize(("option", "name"), [("vulkan", "Vulkan"), ("bf16_storage", "bf16")])
def test_what_ncnn_was_built_without_is_told(tmp_path: Path, option: str, name: str) -> None:
    if getattr(_ncnn, f"has_{name.lower()}"):
        pytest.skip(f"ncnn was built with {name}")
    with pytest.raises(OptionError, match=f"{option}=True, but ncnn was built without {name}") as error:
        Net(*write_net(tmp_path, *SQUARE), **{option: True})
    assert f"NCNN_BUILDER_{name.upper()}=ON" in str(error.value)


def test_a_missing_gpu_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    try:
        net = Net(*write_net(tmp_path, *SQUARE), vulkan=True)
    except OptionError as error:
        assert "no Vulkan device" in str(error) or "without Vulkan" in str(error)
    else:
        np.testing.assert_allclose(net.run({"x": [3.0]})["y"], [9], rtol=1e-2)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("isolate", [False, True])
def test_other_shapes_than_the_file_states(isolate: bool, tmp_path: Path) -> None:
    """ncnn does not look at what an Input states, and many nets run at any size."""
    files = write_net(tmp_path, "Input in 0 1 x 0=4 1=3 2=2", "Padding p 1 1 x y 0=1", "Reshape r 1 1 y z 0=-1 1=6")
    x = np.arange(30, dtype=np.float32).reshape(3, 5, 2)
    with pytest.raises(InputError, match=r"wrong shape; expected \[2, 3, 4\]; got \[3, 5, 2\]"):
        Net(*files, isolate=isolate).run({"x": x})
    net = Net(*files, any_shape=True, isolate=isolate)
    assert net.inputs == {"x": None}
    assert np.array_equal(net.run({"x": x})["z"], np.pad(x, ((0, 0), (1, 0), (0, 0))).reshape(6, 6))
