"""`python -m ncnn_builder convert` and `export`."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from ncnn_builder.tools.cli import main

NET = """
import torch
from torch import nn
import ncnn_builder as nb


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.relu = nn.Conv2d(3, 4, 3), nn.ReLU()

    def forward(self, x, scale=None):
        y = self.relu(self.conv(x))
        return y if scale is None else y * scale


class Own(Net):
    def export_ncnn(self, g, inputs):
        return nb.child(g, self, "relu", nb.child(g, self, "conv", inputs))


class Wrong(Own):
    def export_ncnn(self, g, inputs):
        return nb.child(g, self, "conv", inputs)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "frontend_net.py").write_text(NET)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def test_files_and_examples_that_run(here, capsys):
    assert main(["convert", "frontend_net:Net", "--input", "x=1,3,6,6", "--out", "o/net", "--example", "py,cpp"]) == 0
    assert "required" in capsys.readouterr().out
    assert sorted(p.name for p in (here / "o").iterdir()) == ["net.bin", "net.cpp", "net.json", "net.param", "net.py"]
    done = subprocess.run([sys.executable, "o/net.py"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(1, 4, 4, 4)")
    assert "ncnn::Mat in0(6, 6, 3);" in (here / "o/net.cpp").read_text()


def test_names_an_npz_and_json(here, capsys):
    np.savez("x.npz", x=np.ones((2, 3, 6, 6), np.float32), scale=np.ones((1, 4, 1, 1), np.float32))
    names = ["--inputs", "data,s", "--outputs", "prob"]
    assert main(["convert", "frontend_net:Net", "--input", "x.npz", "--out", "net", "--json", *names]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [p["name"] for p in said["inputs"] + said["outputs"]] == ["data", "s", "prob"]
    assert said["inputs"][0]["batch_axis"] == 0 and said["outputs"][0]["shape"] == [2, 4, 4, 4]


def test_export_asks_export_ncnn(here, capsys):
    assert main(["export", "frontend_net:Own", "--input", "x=2,3,6,6", "--out", "net"]) == 0
    assert main(["export", "frontend_net:Wrong", "--input", "x=1,3,6,6", "--out", "wrong"]) == 2
    assert "Wrong differs from torch, first in output out0" in capsys.readouterr().err
    assert not (here / "wrong.param").exists()


def test_a_file_of_torch_export(here):
    import frontend_net

    exported = torch.export.export(frontend_net.Net().eval(), (torch.rand(1, 3, 6, 6),))
    torch.export.save(exported, "net.pt2")
    assert main(["convert", "net.pt2", "--out", "net"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frontend_net:Net", "--input", "y=1,3,6,6"], "forward() has no such input"),
        (["frontend_net:Net"], "no input"),
        (["frontend_net:Net", "--input", "x=one"], "bad input"),
        (["frontend_net:Net", "--input", "x=1,2,6,6"], "torch.export cannot export the module"),
        (["frontend_net:Net", "--input", "x=1,3,6,6", "--example", "rust"], "no such example"),
        (["frontend_net:nothing", "--input", "x=1,3,6,6"], "has no callable nothing"),
        (["missing.pt2"], "no such file"),
        (["frontend_net.pt2"], "is no file of torch.export"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(here, capsys, arguments, said):
    (here / "frontend_net.pt2").write_text("nothing")
    assert main(["convert", *arguments, "--out", "net"]) == 2
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1, error
    assert not list(here.glob("net.*"))
