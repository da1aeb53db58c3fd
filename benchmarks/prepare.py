"""Makes what a contender runs: `python -m benchmarks.prepare FOLDER ARTEFACT`. Called by benchmarks.rounds.

FOLDER/spec.json says the network: {"name", "family", "init_kwargs"}. Its weights are those of random_state() with
seed 0 and its latent that of seed SEED, for all contenders. Artefacts, and the files in FOLDER that they are:

    weights         weights.pt (the state_dict), ws.npy [1, num_ws, w_dim], z.npy [z_dim]
    onnx:FORM       onnx_FORM.onnx: the static rewrite, FORM as in benchmarks.rewrite
    pnnx:FORM       pnnx_FORM/net.ncnn.param and .bin
    target:TARGET   TARGET.json and its files: our bundle
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

SEED = 458
PNNX_LIMIT = 600
"""Seconds."""


def generator(folder: Path) -> Any:
    import torch

    from stylegan.checkpoints import checkpoint

    spec = json.loads((folder / "spec.json").read_text())
    weights = folder / "weights.pt"
    if weights.exists():
        state = torch.load(weights, weights_only=True)
    else:
        state = checkpoint.random_state(spec["family"], spec["init_kwargs"])
    return checkpoint.build_generator(spec["family"], spec["init_kwargs"], state, "random:0").requires_grad_(False)


def make_weights(folder: Path) -> None:
    import torch

    from stylegan.bundle.seeds import latent

    G = generator(folder)
    z = latent(SEED, G.z_dim)
    c = torch.eye(G.c_dim)[:1] if G.c_dim else None
    np.save(folder / "z.npy", z)
    np.save(folder / "ws.npy", G.mapping(torch.from_numpy(z)[None], c).numpy())
    torch.save(G.state_dict(), folder / "weights.part")
    os.replace(folder / "weights.part", folder / "weights.pt")


def _static(folder: Path, form: str) -> tuple[Any, Any]:
    import torch

    from benchmarks.rewrite import static_form

    return static_form(generator(folder), form), torch.from_numpy(np.load(folder / "ws.npy"))


def make_onnx(folder: Path, form: str) -> None:
    import torch

    net, ws = _static(folder, form)
    # The exporter by tracing: it needs no further package, and the static form has no branch that depends on data.
    torch.onnx.export(
        net,
        (ws,),
        folder / f"onnx_{form}.onnx",
        input_names=["ws"],
        output_names=["picture"],
        opset_version=17,
        dynamo=False,
    )


def make_pnnx(folder: Path, form: str) -> None:
    import torch

    out = folder / f"pnnx_{form}"
    out.mkdir()
    net, ws = _static(folder, form)
    torch.jit.trace(net, (ws,), check_trace=False).save(out / "net.pt")
    shape = f"inputshape=[{','.join(map(str, ws.shape))}]"
    command = [str(Path(sys.executable).with_name("pnnx")), "net.pt", shape, "fp16=0"]
    done = subprocess.run(command, cwd=out, timeout=PNNX_LIMIT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    for file in ("net.ncnn.param", "net.ncnn.bin"):
        if done.returncode or not (out / file).exists():
            last = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
            sys.exit(f"pnnx wrote no {file}, exit code {done.returncode}: {' '.join(last)}")


def make_target(folder: Path, target: str) -> None:
    from stylegan.export import export_generator

    export_generator(generator(folder), folder / target, target)


MAKERS = {"onnx": make_onnx, "pnnx": make_pnnx, "target": make_target}


def main(folder: str, artefact: str) -> None:
    kind, _, which = artefact.partition(":")
    if kind == "weights":
        make_weights(Path(folder))
    else:
        MAKERS[kind](Path(folder), which)


if __name__ == "__main__":
    main(*sys.argv[1:])
