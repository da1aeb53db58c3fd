"""Who takes part: what each one needs, the file it runs, and how that file is made."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field

import ncnn_builder as nb

# glibc gives freed memory back to the system, and torch then pays for fresh pages at every layer.
KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "9000000000"}
FIRST = "torch eager"
"""The contender that the others' errors and speeds are relative to."""
OURS = "ours: "
"""What the names of our targets begin with."""


@dataclass(frozen=True)
class Contender:
    """One row of the table.

    worker: the function of benchmarks.worker that loads it. artefact: what benchmarks.prepare makes for it, in a
    process of its own, so that the worker needs no torch where its users would need none. packages: that must be
    installed. load_limit: seconds until the first picture. note: what a reader of the table should know.
    """

    name: str
    worker: str
    artefact: str
    packages: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    load_limit: float = 600
    note: str = ""

    @property
    def missing(self) -> list[str]:
        return [name for name in self.packages if importlib.util.find_spec(name) is None]


# StyleGAN2's way up for each (StyleGAN3 has one form). "polyphase" has not been measured here with these two.
ONNX_OF = {"onnxruntime": "onnx:transposed", "openvino": "onnx:transposed"}


def contenders() -> dict[str, Contender]:
    """All of them by name, torch eager first."""
    static = "our static rewrite"
    rows = [
        Contender(FIRST, "torch_eager", "weights", ("torch",), note="as the official code does it"),
        Contender(
            "torch eager (memory kept)",
            "torch_eager",
            "weights",
            ("torch",),
            KEEP_MEMORY,
            note="C library frees nothing",
        ),
        Contender("torch eager (static)", "torch_static", "weights", ("torch",), note=static),
        Contender("torch.compile", "torch_compile", "weights", ("torch",), note="of the official code"),
        Contender("onnxruntime", "onnxruntime", ONNX_OF["onnxruntime"], ("onnx", "onnxruntime"), note=static),
        Contender("OpenVINO", "openvino", ONNX_OF["openvino"], ("onnx", "openvino"), note=static),
        Contender("pnnx -> ncnn", "ncnn_wheel", "pnnx:transposed", ("pnnx", "ncnn"), note=static),
    ]
    rows += [Contender(OURS + target, "ours", f"target:{target}") for target in sorted(nb.TARGETS)]
    return {row.name: row for row in rows}
