"""The Python on the pages runs as it is written there: of each page in one namespace, in order, in a folder of its own.

What a page takes for given (a model, its input, files of others) is given here, and no more.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from own_support import taken_back
from predecessor_files import as_its_file
from predecessor_nets import synthesis_v2
from test_pages import DOCS, text

import ncnn_builder as nb
import runtime
from runtime import Model
from stylegan.checkpoints import checkpoint
from stylegan.export import export_generator
from stylegan.networks.functional import bias_act, modulated_conv2d

Names = dict[str, Any]
"""The namespace of a page."""

FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = {
    "docs/targets.md": "tests/parity/test_wheel.py runs it without anything of ours",
    "docs/predecessor.md": "two columns side by side, of which the left one is another project's",
}
LEFT_OUT = {"docs/own.md": ("add_layers(",)}
"""Page -> statements that do not run here: tests/runtime/test_own_layer.py builds that library and takes it."""


@pytest.fixture(autouse=True)
def a_folder_and_what_is_registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    with taken_back():
        yield


def generator(kind: str, resolution: int, **more: Any) -> checkpoint.Generator:
    synthesis = dict(channel_base=1024, channel_max=8, **more)
    sizes = dict(z_dim=512, c_dim=0, w_dim=512, img_resolution=resolution, img_channels=3)
    kwargs = {**sizes, "synthesis_kwargs": synthesis} if kind == "v2ada" else {**sizes, **synthesis}
    return checkpoint.build_generator(kind, kwargs, checkpoint.random_state(kind, kwargs, seed=3), "small")


class Blurred(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool2d(x, 3, 1, 1).relu()


class Words(torch.nn.Module):
    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return ids.float() * 2


def any_model() -> Names:
    return {"model": Blurred().eval(), "x": torch.randn(1, 3, 16, 24)}


def a_generator(resolution: int) -> Names:
    z = np.random.RandomState(458).randn(512).astype(np.float32)
    return {"G": generator("v2ada", resolution), "z": z}


@torch.library.custom_op("mylib::warp", mutates_args=())
def warp(x: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.grid_sample(x, flow, align_corners=False)


@warp.register_fake
def _(x: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    return x.new_empty((*x.shape[:2], *flow.shape[1:3]))


class Warped(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mylib.warp(x, x.permute(0, 2, 3, 1)[..., :2].tanh())


GIVEN: dict[str, Callable[[], Names]] = {
    "README.md": lambda: {
        **any_model(),
        **a_generator(32),
        **{"torch": torch, "modulated_conv2d": modulated_conv2d, "bias_act": bias_act},
        **{"export_generator": export_generator, "runtime": runtime},
    },
    "docs/convert.md": lambda: {**any_model(), "torch": torch},
    "docs/own.md": lambda: {**any_model(), "model": Warped().eval()},
    "docs/python.md": lambda: a_generator(512),  # that of the predecessor, with 16 styles
}
"""Page -> what it has no line for."""


def files_of_others(names: Names) -> None:
    """net.param is a stranger's, old.param the predecessor's."""
    styles = np.tile(names["w"], (16, 1))
    names.update(ws=[names["w"], names["w"]], inputs={"ws0": styles, "ws1": styles, "mixing": np.zeros(16, np.float32)})
    g = nb.Graph()
    g.output("y", nb.relu(g, g.input("x", (3,))))
    nb.save(g, "net.param", "net.bin")
    g = nb.Graph()
    inputs = [g.input("ws0", (512,)), g.input("ws1", (512,)), g.input("mixing", (16,))]
    g.output("output", synthesis_v2(g, names["G"].synthesis, inputs, False))
    old = nb.compile_graph(g, "reference")
    Path("old.param").write_text(as_its_file(old))
    Path("old.bin").write_bytes(old.bin)


def one_that_turns(names: Names) -> None:
    export_generator(generator("v3", 32, num_layers=4), "out/turns", transform_input=True)
    names.update(m=Model("out/turns"), matrix=np.eye(3, dtype=np.float32))


def one_with_open_noise(names: Names) -> None:
    export_generator(names["G"], "out/noisy", noise_mode="input")
    names.update(m=Model("out/noisy"))


def inside_export_ncnn(names: Names) -> None:
    """The lines are those of an export_ncnn(): a graph, a module with parts, a Value."""
    self, g = torch.nn.Module(), nb.Graph()
    self.encoder, self.head, self.down = torch.nn.ReLU(), torch.nn.Linear(8, 16), torch.nn.Linear(16, 8)
    names.update(self=self.eval(), g=g, x=g.input("x", (2, 3, 8)))


class Doubled(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2

    def export_ncnn(self, g: nb.Graph, inputs: list[nb.Value]) -> nb.Values:
        return nb.MulConstant(g, inputs, 2.0)


BEFORE: dict[str, dict[str, Callable[[Names], None]]] = {
    "docs/convert.md": {
        "done = nb.convert(model, (ids,)": lambda names: names.update(
            model=Words().eval(), ids=torch.ones(1, 6).long()
        ),
        "done = nb.convert(model, (x,), 'out/net', dynamic={'x': {2: '8*h'": lambda names: names.update(any_model()),
        "x = g.input": lambda names: names.update(g=nb.Graph()),
    },
    "docs/python.md": {
        "pictures =": files_of_others,
        "m.image(w, transform": one_that_turns,
        "m.image(w, noise": one_with_open_noise,
        "y = nb.child": inside_export_ncnn,
        "diagnose(": lambda names: names.update(make=Doubled, x=np.ones((1, 3), np.float32)),
    },
}
"""Page -> how a statement begins -> what it is about, where the statements before are about something else."""


def statements(page: str) -> Iterator[ast.stmt]:
    """Those of all blocks, with the lines that they have on the page."""
    whole = text(page)
    for block in FENCE.finditer(whole):
        for statement in ast.parse(block[1], page).body:
            yield ast.increment_lineno(statement, whole.count("\n", 0, block.start(1)))


def run(page: str, names: Names) -> None:
    before, left_out = dict(BEFORE.get(page, {})), list(LEFT_OUT.get(page, ()))
    for statement in statements(page):
        said = ast.unparse(statement)
        for start in [s for s in before if said.startswith(s)]:
            before.pop(start)(names)
        skipped = [s for s in left_out if said.startswith(s)]
        for start in skipped:
            left_out.remove(start)
        if not skipped:
            exec(compile(ast.Module([statement], []), page, "exec"), names)
    assert not before and not left_out, "the page has no such statement any longer"


@pytest.mark.parametrize("page", GIVEN)
def test_the_python_of_a_page_runs(page: str) -> None:
    names = GIVEN[page]()
    run(page, names)
    if "ToRGB" in names:
        to_rgb = names["ToRGB"]()
        to_rgb.affine, to_rgb.weight_gain, to_rgb.conv_clamp = torch.nn.Linear(5, 4), 0.5, 256
        to_rgb.weight, to_rgb.bias = (torch.nn.Parameter(torch.randn(*s)) for s in ((3, 4, 1, 1), (3,)))
        nb.convert(to_rgb.eval(), (torch.randn(1, 4, 6, 6), torch.randn(1, 5)), "out/to_rgb")


def test_an_own_op_of_the_page_is_what_it_says() -> None:
    names = GIVEN["docs/own.md"]()
    run("docs/own.md", names)
    g = nb.Graph()
    g.output("y", names["soft_cap"](g, names["soft_cap"](g, g.input("x", (3,)), 2.0), 2.0))
    counts = {target: nb.compile_graph(g, target).param.count("SoftCap ") for target in nb.TARGETS}
    assert counts == {"fused": 1, "reference": 2, "stock": 0}


def test_every_page_with_python_is_run() -> None:
    pages = {page for page in ("README.md", *DOCS) if FENCE.search(text(page)) and ".zh." not in page}
    assert pages == GIVEN.keys() | ELSEWHERE.keys()


def test_a_line_that_does_not_run_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    page = "docs/convert.md"
    wrong = text(page).replace("nb.capture(", "nb.captured(")
    monkeypatch.setitem(globals(), "text", lambda name: wrong)
    with pytest.raises(AttributeError, match="captured") as caught:
        run(page, GIVEN[page]())
    line = caught.traceback[-1].lineno + 1
    assert wrong.splitlines()[line - 1].startswith("g = nb.captured(")
