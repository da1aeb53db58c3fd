"""Files read back as graphs: what is written again, shapes, and what is refused."""

from __future__ import annotations

from pathlib import Path

import ncnn
import numpy as np
import pytest
from net_files import binary_param, floats, lines_of, mixed, net_files
from network_support import GOLDENS, golden_generator
from parity_support import build, run_emitted
from pass_support import graph_of, inputs_of, normal

import ncnn_builder as nb
from ncnn_builder.parity import Report
from ncnn_builder.tools.lint import lint
from ncnn_builder.tools.net import read_net
from runtime import Net
from stylegan.export import mapping_graph, synthesis_graph

DENSE = lines_of("Input x 0 1 x 0=5", "InnerProduct fc 1 1 x y 0=3 1=1 2=15")
RELU = lines_of("Input x 0 1 x 0=4 1=3 2=2", "ReLU r 1 1 x y 0=0.1")


def reread(folder: Path, model: nb.EmittedModel) -> nb.Graph:
    return nb.load(*net_files(folder, model.param, model.bin))


def again(folder: Path, param: str | bytes, data: bytes = b"", **shapes: tuple[int, ...]) -> nb.EmittedModel:
    """Loaded and compiled again, for the target that changes nothing."""
    return nb.compile_graph(nb.load(*net_files(folder, param, data), shapes=shapes))


# -- what we wrote --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "storage"), [*((name, "fp32") for name in GOLDENS), ("v2ada_skip_64", "fp16"), ("v3_r_64", "fp16")]
)
@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_golden_networks_are_the_same_bytes_and_clean(name: str, storage: str, target: str, tmp_path: Path) -> None:
    G = golden_generator(name)
    for graph in (mapping_graph(G), synthesis_graph(G)):
        model = nb.compile_graph(graph, target, weights=storage)
        files = net_files(tmp_path, model.param, model.bin)
        copy = nb.compile_graph(nb.load(*files))
        assert (copy.param, copy.bin) == (model.param, model.bin)
        assert lint(read_net(*files)) == []


def test_every_layer_is_the_same_bytes_and_has_its_weights_in_shape(tmp_path: Path) -> None:
    seen = set()
    for spec in nb.registry.values():
        for sample in spec.samples()[:8]:
            if spec.composite:
                continue
            model = nb.compile_graph(build(sample)[0])
            g = reread(tmp_path, model)
            copy = nb.compile_graph(g)
            assert (copy.param, copy.bin) == (model.param, model.bin), sample.id
            made = {n.name: n for n in build(sample)[0].nodes}
            for node in g.nodes:
                seen.add(node.spec.type)
                assert all(v.shape for v in node.outputs), node
                if node.name in made and node.spec.type not in ("MemoryData", "Shell"):
                    want = {k: w.shape for k, w in made[node.name].weights.items()}
                    assert {k: w.shape for k, w in node.weights.items()} == want, node
    layers = {name for name, spec in nb.registry.items() if not spec.composite}
    assert layers - seen <= {"Input", "Split", *(name for name in layers if nb.registry[name].off)}


def test_the_graph_is_the_one_that_was_written(tmp_path: Path) -> None:
    model = nb.compile_graph(mixed())
    g = reread(tmp_path, model)
    assert [v.name for v in g.inputs] == ["x", "z"] and list(g.outputs) == ["picture"]
    assert g.nodes[0].source == "net.param:5"
    assert not any(n.spec.type == "Split" for n in g.nodes)
    assert all(v.data is not None for n in g.nodes if n.spec.type == "Shell" for v in n.outputs)
    changed = nb.compile_graph(g, "fused")
    inputs = inputs_of(g)
    Report("fused").add_all(
        run_emitted(changed, inputs, ["picture"]), run_emitted(model, inputs, ["picture"]), 1e-5
    ).check()


def test_a_changed_number_is_not_the_same_bytes(tmp_path: Path) -> None:
    model = nb.compile_graph(mixed())
    data = bytearray(model.bin)
    data[-1] ^= 1
    copy = nb.compile_graph(nb.load(*net_files(tmp_path, model.param, bytes(data))))
    assert copy.bin == bytes(data) != model.bin


def test_names_stay_through_the_passes(tmp_path: Path) -> None:
    text = lines_of(
        "Input in0 0 1 data 0=4 1=3 2=2",
        "Split splitncnn_0 1 2 data data_0 data_1",
        "ReLU relu 1 1 data_0 relu_out 0=1.0e-1",
        "BinaryOp prob 2 1 relu_out data_1 prob 0=2",
    )
    model = again(tmp_path, text)
    assert [line.split()[:2] for line in model.param.splitlines()[3:]] == [
        ["Split", "data/split"],
        ["ReLU", "relu"],
        ["BinaryOp", "prob"],
    ]
    assert "relu_out" in model.param.split() and list(model.outputs) == ["prob"]


# -- forms of files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "crop", ["-23309=1,1 -23310=1,3 -23311=1,2", "9=1, 10=3, 11=2,", "-23309=1,1 10=3, -23311=1,2"]
)
def test_both_forms_of_arrays(crop: str, tmp_path: Path) -> None:
    model = again(tmp_path, lines_of("Input x 0 1 x 0=5 1=3 2=2", f"Crop c 1 1 x y {crop}"))
    assert "-23309=1,1 -23310=1,3 -23311=1,2" in model.param and model.outputs == {"y": (2, 3, 2)}


def test_defaults_are_filled_in_and_line_ends_do_not_matter(tmp_path: Path) -> None:
    text = lines_of("Input x 0 1 x 0=4 1=6 2=2", "Convolution c 1 1 x y 0=3 1=3 11=3 6=54 4=1 14=1 15=1 16=1")
    weights = b"\0\0\0\0" + floats(normal(54))
    model = again(tmp_path, text, weights)
    other = again(tmp_path, "\n" + text.replace("\n", "  \r\n").replace(" 0=3", "\t0=3").rstrip(), weights)
    assert (model.param, model.bin) == (other.param, other.bin)
    assert model.outputs == {"y": (3, 6, 4)} and "3=1" in model.param and "9=0" in model.param


def test_the_binary_form_says_the_same(tmp_path: Path) -> None:
    """Our reader and ncnn's own (the wheel's) take the file that the text was turned into."""
    model = nb.compile_graph(mixed(), "stock")
    param, data = net_files(tmp_path, binary_param(model.param), model.bin, "net.param")
    g = nb.load(param, data)
    inputs = inputs_of(mixed())
    want = run_emitted(model, inputs, ["picture"])["picture"]
    copy = nb.compile_graph(g)
    (output,) = copy.outputs
    got = run_emitted(copy, dict(zip(copy.inputs, inputs.values(), strict=True)), [output])[output]
    assert np.array_equal(got, want) and copy.bin == model.bin
    net = ncnn.Net()
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    assert net.load_param_bin(str(param)) == 0 and net.load_model(str(data)) == 0


@pytest.mark.parametrize("target", sorted(nb.TARGETS))
def test_the_binary_form_of_our_layers(target: str, tmp_path: Path) -> None:
    model = nb.compile_graph(synthesis_graph(golden_generator("v2ada_orig_32")), target)
    copy = again(tmp_path, binary_param(model.param), model.bin)
    words = [[w for i, w in enumerate(line.split()) if i != 1 and "=" in w] for line in model.param.splitlines()]
    assert [[w for w in line.split() if "=" in w] for line in copy.param.splitlines()] == words
    assert copy.bin == model.bin


def test_a_feature_mask_stays(tmp_path: Path) -> None:
    model = again(tmp_path, RELU.replace("0=0.1", "0=1.00000000e-01 31=64"))
    assert model.param.splitlines()[3].endswith("0=1.00000001e-01 31=64")


# -- shapes -----------------------------------------------------------------------------------------------------------

OPEN = lines_of("Input x 0 1 x", "ReLU r 1 1 x y 0=0.1", "Crop c 1 1 y z -23309=1,1 -23310=1,-233 -23311=1,0")


def test_a_shape_that_nobody_says_stays_unknown(tmp_path: Path) -> None:
    g = nb.load(*net_files(tmp_path, OPEN))
    assert [v.shape for v in g.values()] == [(), (), ()] and "z[?]" in str(g)
    model = nb.compile_graph(g)
    assert model.inputs == {"x": ()} and "Input                    x                        0 1 x 0=0" in model.param
    for target in ("fused", "stock"):
        with pytest.raises(nb.BuildError, match=r"argument x: a shape is not known.*Give load\(\) the shapes"):
            nb.compile_graph(g, target)


def test_a_shape_that_the_caller_says(tmp_path: Path) -> None:
    g = nb.load(*net_files(tmp_path, OPEN), shapes={"x": (4, 5, 6)})
    assert [v.shape for v in g.values()] == [(4, 5, 6), (4, 5, 6), (3, 5, 6)]
    assert nb.compile_graph(g, "stock").outputs == {"z": (3, 5, 6)}


@pytest.mark.parametrize(
    ("hint", "shape"), [("1,7,0,0", (7,)), ("2,7,5,0", (5, 7)), ("3,7,5,3", (3, 5, 7)), ("4,7,5,2,3", (3, 2, 5, 7))]
)
def test_a_shape_that_the_file_hints_at(hint: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    step = len(hint.split(","))
    g = nb.load(*net_files(tmp_path, lines_of(f"Input x 0 1 x -23330={step},{hint}", "ReLU r 1 1 x y")))
    assert [v.shape for v in g.values()] == [shape, shape]


@pytest.mark.parametrize("shapes", [{"q": (3,)}, {"x": ()}, {"x": (0, 3)}, {"x": (1, 2, 3, 4, 5)}])
def test_a_bad_shape_is_refused(shapes: dict[str, tuple[int, ...]], tmp_path: Path) -> None:
    with pytest.raises(nb.ReadError, match="shape"):
        nb.load(*net_files(tmp_path, OPEN), shapes=shapes)


@pytest.mark.parametrize(
    ("a", "b"),
    [((4, 5, 6), (4,)), ((4, 5, 6), (6,)), ((4, 5, 6), (4, 5)), ((5,), (5, 3)), ((3,), (5, 3)), ((2, 3), (2, 3, 4, 5))],
)
def test_inputs_of_different_ranks_mean_what_ncnn_makes_of_them(
    a: tuple[int, ...], b: tuple[int, ...], tmp_path: Path
) -> None:
    text = lines_of("Input a 0 1 a", "Input b 0 1 b", "BinaryOp add 2 1 a b y 0=1")
    files = net_files(tmp_path, text)
    inputs = {"a": normal(*a), "b": normal(*b)}
    want = Net(*files).run(inputs)["y"]
    g = nb.load(*files, shapes={"a": a, "b": b})
    assert [n.spec.type for n in g.nodes] == ["Reshape", "BinaryOp"]
    for target in ("reference", "stock"):
        assert np.array_equal(run_emitted(nb.compile_graph(g, target), inputs, ["y"])["y"], want)


# -- layers that nobody declares --------------------------------------------------------------------------------------

STRANGE = lines_of(
    "Input x 0 1 x 0=4",
    "Split s 1 2 x x0 x1",
    'TheirLayer t 1 2 x0 a b 0=3 -23303=2,1,2 4="a text" 31=2',
    "BinaryOp add 2 1 a x1 y 0=0 -23330=4,1,4,0,0",
)


def test_a_layer_that_no_op_declares_is_kept_word_for_word(tmp_path: Path) -> None:
    g = nb.load(*net_files(tmp_path, STRANGE))
    strange, _ = g.nodes
    assert strange.spec.foreign and [v.shape for v in strange.outputs] == [(), ()]
    model = nb.compile_graph(g)
    (line,) = (x for x in model.param.splitlines() if x.startswith("TheirLayer"))
    assert line.endswith('1 2 x/split_0 a b 0=3 -23303=2,1,2 4="a text" 31=2')
    assert set(model.outputs) == {"b", "y"}
    known = nb.load(*net_files(tmp_path, STRANGE), shapes={"a": (4,), "b": (7,)})
    assert nb.compile_graph(known, "fused").outputs == {"b": (7,), "y": (4,)}


def test_weights_of_a_layer_that_no_op_declares_are_refused(tmp_path: Path) -> None:
    with pytest.raises(nb.ReadError, match=r"left over.*word for word has weights: TheirLayer"):
        nb.load(*net_files(tmp_path, STRANGE, bytes(8)))


# -- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("7767517", "7767518", "line 1, column 1: a .param file begins"),
        ("2 2", "2 1", "line 2, column 1: wrong counts; expected 2 2; got 2 1"),
        ("2 2", "1 2", "line 2, column 1: wrong counts; expected 2 2; got 1 2"),
        ("2 2", "3 2", "line 2, column 1: wrong counts; expected 2 2; got 3 2"),
        ("2 2", "0 2", "line 2, column 1"),
        ("2 2", "99999999999999999999 2", "line 2, column 1"),
        ("r 1 1", "r 99999999 1", "line 4, column 8: this is no number of inputs"),
        ("r 1 1", "r 3 1", "line 4, column 16: the line states 3 inputs"),
        ("0=0.1", "0=2.0e99", "line 4, column 18: this is no number"),
        ("0=0.1", "1=0.1", "line 4, column 16: ReLU has no such parameter"),
        ("0=0.1", "0=0.1,0.2", "an array, where the layer reads a number"),
        ("0=0.1", "0=abc", "a text, where the layer reads a number"),
        ("0=0.1", '0="abc', "quotation mark"),
        ("0=4 1=3", "0=4.0 1=3", "a float, where the layer reads an int"),
        ("1 1 x y", "1 1 q y", "line 4, column 12: no layer makes this blob"),
        ("1 1 x y", "1 1 x x", "line 4, column 14: the layer in line 3 makes a blob of this name"),
        ("Input x 0 1 x 0=4", "Input x 0 1 x 0=-4", ""),
        ("ReLU r 1 1 x y", "ReLU r 0 1 y", "takes x"),
    ],
)
def test_a_malformed_file_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = RELU.replace(old, new, 1)
    assert text != RELU
    if not message:  # ncnn takes it for no shape at all
        assert nb.load(*net_files(tmp_path, text)).inputs[0].shape == ()
        return
    with pytest.raises(nb.ReadError) as caught:
        nb.load(*net_files(tmp_path, text))
    assert message in str(caught.value) and str(tmp_path) in str(caught.value)


def test_layers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    text = lines_of("Input a 0 1 a 0=4", "Input b 0 1 b 0=5", "BinaryOp add 2 1 a b y 0=0")
    with pytest.raises(nb.ReadError, match=r"BinaryOp add: .*line 5, column 1: the layer does not fit: .*broadcast"):
        nb.load(*net_files(tmp_path, text))


def test_two_readers_and_a_wrong_order_are_refused(tmp_path: Path) -> None:
    x, a, b = "Input x 0 1 x 0=4", "ReLU a 1 1 x ya", "ReLU b 1 1 x yb"
    with pytest.raises(nb.ReadError, match="line 5, column 12: line 4 reads this blob already"):
        nb.load(*net_files(tmp_path, lines_of(x, a, b)))
    with pytest.raises(nb.ReadError, match="line 3, column 12: line 4 makes this blob, after it is read"):
        nb.load(*net_files(tmp_path, lines_of(a, x)))


@pytest.mark.parametrize("cut", [1, 3, 4, 9, 30, 61])
def test_a_cut_binary_param_is_refused(cut: int, tmp_path: Path) -> None:
    data = binary_param(RELU)
    with pytest.raises(nb.ReadError, match="param"):
        nb.load(*net_files(tmp_path, data[:-cut]))


def test_files_that_are_missing_or_something_else(tmp_path: Path) -> None:
    with pytest.raises(nb.ReadError, match=r"cannot read .*net\.param: No such file"):
        nb.load(tmp_path / "net.param", tmp_path / "net.bin")
    with pytest.raises(nb.ReadError, match="no text"):
        nb.load(*net_files(tmp_path, b"\x89PNG\xff\xfe"))
    with pytest.raises(nb.ReadError, match="file begins"):
        nb.load(*net_files(tmp_path, ""))


def test_a_weight_of_an_absurd_size_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    for size in ("2147483647", "-5"):
        text = DENSE.replace("2=15", f"2={size}")
        with pytest.raises(nb.ReadError, match="fc argument weight"):
            nb.load(*net_files(tmp_path, text, bytes(80)))
    g = graph_of(lambda g, x: nb.square(g, x), (3,))
    assert nb.compile_graph(g).outputs == {"y0": (3,)}


def test_no_op_can_be_built_on_a_shape_that_is_not_known(tmp_path: Path) -> None:
    g = nb.Graph()
    with pytest.raises(nb.BuildError, match=r"Sqrt argument x at .*: the shape of an input is not known"):
        nb.sqrt(g, g.input("x", None))
    loaded = nb.load(*net_files(tmp_path, OPEN))
    with pytest.raises(nb.BuildError, match="the shape of an input is not known"):
        nb.sqrt(loaded, next(iter(loaded.outputs.values())))


def test_a_loaded_graph_can_be_built_on(tmp_path: Path) -> None:
    g = nb.load(*net_files(tmp_path, RELU))
    g.output("more", nb.MulConstant(g, g.outputs["y"], 2.0, 1.0))
    x = {"x": normal(2, 3, 4)}
    got = run_emitted(nb.compile_graph(g, "fused"), x, ["y", "more"])
    assert np.allclose(got["more"], 2 * got["y"] + 1)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("GRU l 1 1 x y 0=0 1=36", "the parameters say no size of the weights"),
        ("MultiHeadAttention l 1 1 x y 0=8 1=0 2=64", "the parameters of MultiHeadAttention make no sense"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(layer: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(nb.ReadError, match=message):
        nb.load(*net_files(tmp_path, lines_of("Input x 0 1 x 0=3 1=5", layer)))


def test_a_batch_axis_is_kept(tmp_path: Path) -> None:
    """0 is an axis; that there is none is 233."""
    text = lines_of("Input x 0 1 x 0=4 1=3 2=2", "Reshape r 1 1 x y 0=12 1=2 12={}")
    assert " 12=0" in again(tmp_path, text.format(0)).param
    assert " 12=" not in again(tmp_path, text.format(233)).param


def test_what_a_converter_writes_and_ncnn_does_not_read_is_dropped(tmp_path: Path) -> None:
    text = lines_of("Input x 0 1 x 0=4 1=6 2=2", "Convolution c 1 1 x y 0=3 1=3 6=54 7=1")
    model = again(tmp_path, text, bytes(4) + floats(normal(54)))
    assert " 7=" not in model.param and model.outputs == {"y": (3, 4, 2)}
