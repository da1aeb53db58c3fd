"""What the examples share: a network is exported for any ncnn, and its files are compared with PyTorch by modules."""

from __future__ import annotations

from pathlib import Path

import torch

import ncnn_builder as nb
from ncnn_builder.parity import Report, torch_taps
from runtime import Net


def export(net: torch.nn.Module, inputs: dict[str, torch.Tensor], path: Path, target: str = "stock") -> nb.EmittedModel:
    """Write path.param and path.bin, with these inputs and the output `output`. Tensors have a batch of one."""
    g = nb.Graph(path.name)
    values = [g.input(name, tensor.shape[1:]) for name, tensor in inputs.items()]
    g.output("output", net.export_ncnn(g, values))
    return nb.save(g, f"{path}.param", f"{path}.bin", target=target)


def prove(net: torch.nn.Module, inputs: dict[str, torch.Tensor], path: Path, target: str = "stock") -> Report:
    """Export, run on ncnn, and compare the output and every module that is still a blob. Raises ParityError."""
    model = export(net, inputs, path, target)
    with torch.no_grad():
        expected = torch_taps(net, lambda: net(*inputs.values()), ["", *model.taps])
    arrays = {name: tensor[0].numpy() for name, tensor in inputs.items()}
    blobs = Net(f"{path}.param", f"{path}.bin").run(arrays, ["output", *dict.fromkeys(model.taps.values())])
    got = {"": blobs["output"], **{module: blobs[blob] for module, blob in model.taps.items()}}
    return Report(f"{path.name} on {target}").add_all(got, expected, 1e-4).check()


def main(net: torch.nn.Module, inputs: dict[str, torch.Tensor], name: str) -> None:
    """Put the files into the working directory and say how far they are from PyTorch."""
    report = prove(net, inputs, Path(name))
    print(f"{name}.param, {name}.bin: {len(report.comparisons)} comparisons with PyTorch, the largest difference")
    print(f"{report.worst.required:.1e} of the largest magnitude, in {report.worst.name or 'the output'}")
