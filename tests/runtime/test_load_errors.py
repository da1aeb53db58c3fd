"""Files that are damaged, foreign, or do not belong together: one error that says where and what."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from runtime_nets import raw, tagged, write_net

from runtime import Net, ParamError, WeightsError

LINES = (
    "Input in 0 1 x 0=4",
    "InnerProduct fc 1 1 x y 0=3 1=1 2=12",
    "Split split 1 2 y a b",
    "BinaryOp add 2 1 a b z 0=0",
)
DATA = tagged(np.ones(12)) + raw(np.ones(3))


def edited(tmp_path: Path, *edits: tuple[str, str]) -> tuple[Path, Path]:
    param, bin_ = write_net(tmp_path, *LINES, data=DATA)
    text = param.read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    param.write_text(text)
    return param, bin_


def test_the_whole_file_loads(tmp_path: Path) -> None:
    net = Net(*edited(tmp_path))
    np.testing.assert_array_equal(net.run({"x": np.ones(4)})["z"], [10, 10, 10])


def test_a_hundred_thousand_layers(tmp_path: Path) -> None:
    """Not a matter of minutes, as it would be if each blob were looked up among all."""
    count = 100_000
    lines = [f"ReLU relu{i} 1 1 b{i} b{i + 1}" for i in range(count)]
    files = write_net(tmp_path, "Input in 0 1 b0", "Split s 1 2 b0 c0 other", *lines[1:-1], lines[-1], name="long")
    text = files[0].read_text().replace("ReLU relu1 1 1 b1 b2", "ReLU relu1 1 1 c0 b2")
    files[0].write_text(text)
    net = Net(*files, threads=1)
    x = np.array([-1, 2, -3], np.float32)
    got = net.run({"b0": x})
    assert list(got) == ["other", f"b{count}"] and len(net.layers) == count + 1
    assert got["other"].tolist() == [-1, 2, -3] and got[f"b{count}"].tolist() == [0, 2, 0]
    files[0].write_text(re.sub("ReLU (relu70000 .*)", r"BiasAct \1 0=99", text))
    with pytest.raises(ParamError, match=r"long.param:70004: layer relu70000 \(BiasAct\): .*99"):
        Net(*files, threads=1)


def test_what_ncnn_does_not_mind(tmp_path: Path) -> None:
    """More blobs than there are, two layers of one name, and a Noop behind the layers that the file states."""
    param, data = edited(tmp_path)
    text = param.read_text().replace("4 5\n", "4 7\n").replace("Split split", "Split fc") + "Noop last 1 1 z v\n"
    param.write_text(text)
    net = Net(param, data)
    assert list(net.outputs) == ["z"]
    np.testing.assert_array_equal(net.run({"x": np.ones(4)})["z"], [10, 10, 10])


@pytest.mark.parametrize(
    ("old", "new", "line", "layer", "says"),
    [
        ("7767517", "7767516", 1, None, "magic number; expected 7767517; got '7767516'"),
        ("4 5\n", "5 5\n", 2, None, "number of layers does not match.*expected 5; got 4.*truncated"),
        ("4 5\n", "3 5\n", 2, None, "number of layers does not match.*expected 3; got 4"),
        ("4 5\n", "4 4\n", 2, None, "number of blobs does not match.*expected 4; got 5"),
        ("4 5\n", "4\n", 2, None, "bad counts"),
        ("4 5\n", "-4 5\n", 2, None, "bad counts"),
        ("4 5\n", "four 5\n", 2, None, "bad counts.*'four 5'"),
        ("InnerProduct fc", "NoSuchLayer fc", 4, "fc", "unknown layer type.*'NoSuchLayer'"),
        ("InnerProduct fc 1 1", "InnerProduct fc 1", 4, "fc", "a bad count.*'x'"),
        ("InnerProduct fc 1 1 x y", "InnerProduct fc 1 2 x y", 4, "fc", "a parameter where a blob name belongs"),
        ("BinaryOp add 2 1 a b z 0=0", "BinaryOp add 2 1 a", 6, "add", "ends too early; expected input 2 of 2"),
        ("1 1 x y", "1 1 nowhere y", 4, "fc", "its input 'nowhere' is made by no layer above"),
        ("a b z", "a a z", 6, "add", "its input 'a' is already consumed"),
        ("y a b\n", "y a a\n", 5, "split", "its output 'a' is already made"),
        ("2=12", "2=twelve", 4, "fc", "expected weight_data_size >= 1.*got weight_data_size='twelve'"),
        ("2=12", "2=1x", 4, "fc", "parameter 2 has a bad value; expected a whole number.*'1x'"),
        ("2=12", "2=99999999999", 4, "fc", "a whole number of 32 bits"),
        ("2=12", "2=nan", 4, "fc", "a finite number; got 'nan'"),
        ("2=12", "2=-inf", 4, "fc", "has a bad value"),
        ("2=12", "2=1e99", 4, "fc", "a finite number"),
        ("2=12", "2=", 4, "fc", "a value after '='"),
        ("2=12", "2=12 2=12", 4, "fc", "parameter 2 is given twice"),
        ("2=12", "2=12 32=1", 4, "fc", "no such parameter id; expected 0 to 31"),
        ("2=12", "2=12 junk", 4, "fc", "not a parameter; expected id=value; got 'junk'"),
        ("2=12", "2=12 -23310=3,1,2", 4, "fc", "3 elements, as its length says; got '2 elements'"),
        ("2=12", '2=12 3="open', 4, "fc", "closing quotation mark"),
        ("2=12", "2=-12", 4, "fc", "expected weight_data_size >= 1"),
        ("2=12", "2=13", 4, "fc", "weight_data_size % num_output == 0; got weight_data_size=13, num_output=3"),
        ("2=12", "2=12 9=7", 4, "fc", "ncnn refuses the parameters of this layer"),
        ("InnerProduct fc", f"InnerProduct {'n' * 256}", 4, None, "a name is too long"),
        ("Split split 1 2 y a b", "Split split 0 2 a b", 5, "split", "it takes 1 inputs"),
        ("BinaryOp add 2 1 a b z 0=0", "BinaryOp add 2 2 a b z q 0=0", 6, "add", "it takes 2 inputs and makes 1"),
        ("Input in 0 1 x", "Input in 0 1 \x01", 0, None, "not a .param text file; got binary data"),
    ],
)
def test_a_damaged_param(tmp_path: Path, old: str, new: str, line: int, layer: str | None, says: str) -> None:
    files = edited(tmp_path, (old, new))
    with pytest.raises(ParamError, match=says) as caught:
        Net(*files)
    error = caught.value
    assert error.file == str(files[0]) and error.line == (line or None)
    if layer:
        assert error.layer == layer
    assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "only blanks"),
        (b"7767517\n", "ends before its counts"),
        (b"7767517", "ends before its counts"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "a PNG picture"),
        (b'{"format": "ncnn-builder-bundle"}', "got JSON"),
        (b"PK\x03\x04" + b"\0" * 50, "a zip archive"),
        (b"\x80\x02}q\0.", "a Python pickle"),
        ((7767517).to_bytes(4, "little") + b"\1\0\0\0", "a binary .param.bin"),
        (b"hello\n", "magic number"),
        (b"7767517\n1 1\nInput in 0 1 \xff\xfe\n", "not UTF-8"),
        (bytes(range(256)) * 10, "binary data"),
    ],
)
def test_a_foreign_param(tmp_path: Path, content: bytes, says: str) -> None:
    param, bin_ = edited(tmp_path)
    param.write_bytes(content)
    with pytest.raises(ParamError, match=re.escape(says)):
        Net(param, bin_)


def test_every_truncation_of_a_param_is_refused_or_harmless(tmp_path: Path) -> None:
    param, bin_ = edited(tmp_path)
    whole = param.read_bytes()
    for length in range(len(whole)):
        param.write_bytes(whole[:length])
        if length >= whole.rindex(b" 0=0"):  # what is left of the last line means the same
            continue
        with pytest.raises((ParamError, WeightsError)):
            Net(param, bin_)


def test_every_truncation_of_a_bin_names_the_layer(tmp_path: Path) -> None:
    param, bin_ = edited(tmp_path)
    for length in range(len(DATA)):
        bin_.write_bytes(DATA[:length])
        with pytest.raises(WeightsError, match=r"the file is too short; expected \d+ bytes at offset") as caught:
            Net(param, bin_)
        assert (caught.value.layer, caught.value.layer_type) == ("fc", "InnerProduct")
        assert caught.value.file == str(bin_) and f"a file of {length} byte" in str(caught.value)


def test_bytes_that_no_layer_reads(tmp_path: Path) -> None:
    param, bin_ = edited(tmp_path)
    bin_.write_bytes(DATA + b"\0" * 7)
    with pytest.raises(WeightsError, match=f"7 bytes at the end.*expected {len(DATA)} bytes; got {len(DATA) + 7}"):
        Net(param, bin_)


def test_one_byte_that_no_layer_reads(tmp_path: Path) -> None:
    param, bin_ = edited(tmp_path)
    bin_.write_bytes(DATA + b"\0")
    with pytest.raises(WeightsError, match="no layer reads the 1 byte at the end of the file"):
        Net(param, bin_)


def test_a_bin_of_unknown_tag(tmp_path: Path) -> None:
    param, bin_ = edited(tmp_path)
    bin_.write_bytes(b"\1\2\3\4" + DATA[4:])
    with pytest.raises(WeightsError, match="layer fc"):
        Net(param, bin_)


@pytest.mark.parametrize("size", [2_000_000_000, 2_147_483_646])
@pytest.mark.parametrize("tag", [b"\0\0\0\0", b"\x47\x6b\x30\x01", b"\1\0\0\0"])
def test_absurd_sizes_cost_no_memory(tmp_path: Path, size: int, tag: bytes) -> None:
    size -= size % 3
    param, bin_ = edited(tmp_path, ("2=12", f"2={size}"))
    bin_.write_bytes(tag + b"\0" * 4000)
    with pytest.raises(WeightsError, match=r"layer fc.*the file is too short"):
        Net(param, bin_)


@pytest.mark.parametrize("which", [0, 1])
def test_files_that_are_not_there(tmp_path: Path, which: int) -> None:
    files = list(edited(tmp_path))
    files[which].unlink()
    kind = (ParamError, WeightsError)[which]
    with pytest.raises(kind, match="no such file"):
        Net(*files)
    files[which].mkdir()
    with pytest.raises(kind, match="not a regular file"):
        Net(*files)


def test_swapped_files(tmp_path: Path) -> None:
    param, bin_ = edited(tmp_path)
    with pytest.raises(ParamError, match=r"not a \.param text file"):
        Net(bin_, param)


def test_nothing_is_printed_beside_the_error(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    files = edited(tmp_path, ("2=12", "2=12 9=7"))
    with pytest.raises(ParamError, match="ncnn refuses"):
        Net(*files)
    param, bin_ = edited(tmp_path)
    bin_.write_bytes(DATA[:20])
    with pytest.raises(WeightsError):
        Net(param, bin_)
    assert capfd.readouterr() == ("", "")


def test_the_reason_of_a_custom_layer_is_told(tmp_path: Path) -> None:
    lines = ("Input in 0 1 x", "BiasAct act 1 1 x y 0=99 1=2.00000000e-01 2=1.00000000e+00 3=-1.00000000e+00 4=0")
    with pytest.raises(ParamError, match=r"net.param:4: layer act \(BiasAct\).*99"):
        Net(*write_net(tmp_path, *lines))
