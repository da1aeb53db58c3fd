"""A module that was exported is the module that it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import ncnn_builder as nb
from ncnn_builder.frontend.kept import attributes_kept, lists_cut


class Means(nn.Module):
    """As restorers do: a tensor that is no buffer, brought to the type of the input at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = torch.full((1, 3, 1, 1), 0.25)
        self.inner = nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.mean = self.mean.type_as(x)
        self.inner.seen = x
        return self.inner(x - self.mean)


def test_what_forward_assigns_is_gone_after_the_export() -> None:
    module, x = Means().eval(), torch.ones(1, 3, 4, 4)
    mean, expected = module.mean, Means.forward(module, x).detach()
    module.inner.seen = "before"
    graph = nb.capture(module, x)
    assert module.mean is mean and module.inner.seen == "before" and "forward" not in vars(module)
    assert [node.spec.type for node in graph.nodes][-1] == "Convolution"
    assert torch.equal(module(x), expected)


class Caches(nn.Module):
    """As attention with a table of biases does: what was computed once is kept for the next run."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.arange(4.0))
        self.known: dict[str, torch.Tensor] = {}
        self.seen: list[Any] = ["before"]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if "bias" not in self.known:
            self.known["bias"] = self.table[[3, 1, 2, 0]] * 2
        self.seen.append(x)
        return x + self.known["bias"]


def test_what_forward_keeps_in_dicts_and_lists_is_gone_after_the_export(tmp_path: Path) -> None:
    module, x = Caches().eval(), torch.ones(1, 4)
    done = nb.convert(module, x, tmp_path / "net", check=False)
    assert done.path.name == "net" and not module.known and module.seen == ["before"]
    assert nb.convert(module, x, tmp_path / "net").checked.first is None
    assert torch.equal(module(x), torch.tensor([[7.0, 3.0, 5.0, 1.0]]))


class Framed(nn.Module):
    """As EnCodec's convolutions: borders follow from buffers of whole numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 4, 2)
        self.register_buffer("stride", torch.tensor(2), persistent=False)
        self.register_buffer("kernel", torch.tensor(4), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        frames = torch.ceil((x.shape[-1] - self.kernel) / self.stride + 1).to(torch.int64) - 1
        more = frames * self.stride + self.kernel - x.shape[-1]
        return self.conv(F.pad(x, (self.kernel - self.stride, more), "reflect"))


class Counted(Framed):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.stride.add_(1)
        return x if self.stride > 3 else x * 2


def test_buffers_of_whole_numbers_decide(tmp_path: Path) -> None:
    torch.manual_seed(0)
    done = nb.convert(Framed().eval(), torch.rand(1, 2, 9), tmp_path / "net")
    assert done.checked.first is None and list(done.outputs[0].shape) == [1, 3, 5]
    with pytest.raises(nb.BuildError, match=r"writes into a buffer"):
        nb.convert(Counted().eval(), torch.rand(1, 2, 9), tmp_path / "other")


def test_an_error_inside_leaves_the_attributes_too() -> None:
    module = Means()
    before = dict(vars(module))
    with pytest.raises(KeyError), attributes_kept(module):
        module.mean, module.other = None, 1
        del module.training
        raise KeyError
    assert vars(module).keys() == before.keys() and all(vars(module)[k] is v for k, v in before.items())


class AttrProxy:
    """As torch 2.4 has it."""

    def __init__(self, base: Any, path: str) -> None:
        self.__class__ = type(type(base).__name__, (type(self), type(base)), {})
        self.__dict__ = base.__dict__


@pytest.mark.parametrize("kind", [nn.ModuleList, lambda parts: nn.Sequential(*parts)])
def test_a_list_behind_a_proxy_is_cut(kind: Any) -> None:
    parts = [nn.ReLU(), nn.Tanh(), nn.Sigmoid()]
    plain, proxy = kind(parts), AttrProxy(kind(parts), "blocks")
    with pytest.raises(TypeError, match="path"):
        proxy[1:]
    with lists_cut():
        assert list(proxy[1:]) == parts[1:] and list(plain[1:]) == parts[1:] and list(proxy[::-2]) == parts[::-2]
        assert proxy[0] is parts[0] and type(plain[1:]) is type(plain)
    with pytest.raises(TypeError, match="path"):
        proxy[1:]


class Styled(nn.Module):
    def forward(self, x: torch.Tensor, mod: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
        return x * mod * scale


class CallsByName(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.styled = Styled()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.styled(x, scale=2.0, mod=x + 1)


def test_an_argument_may_be_called_as_one_of_torch_fx() -> None:
    assert len(nb.capture(CallsByName().eval(), torch.ones(1, 3, 4, 4)).nodes) > 1
    assert "__call__" not in vars(Styled)
