import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np
import numpy.typing as npt

ncnn_version: str
cpu_in_use: str
has_bf16: bool
has_vulkan: bool

def layer_types() -> list[str]: ...
def add_layers(library: str | os.PathLike[str]) -> list[str]: ...
def layer_libraries() -> list[Path]: ...
def default_threads(root: str = "") -> int: ...
def memory_limit(root: str = "") -> int: ...
def serve(control: int) -> NoReturn: ...

class Net:
    def __init__(
        self,
        param: str | os.PathLike[str],
        bin: str | os.PathLike[str],
        *,
        threads: int,
        fp16_storage: bool,
        fp16_packed: bool,
        fp16_arithmetic: bool,
        bf16_storage: bool,
        winograd: bool,
        sgemm: bool,
        packing: bool,
        lightmode: bool,
        vulkan: bool,
        memory_limit: int,
        guard: bool,
        any_shape: bool,
    ) -> None: ...
    def run(
        self, inputs: Mapping[str, npt.NDArray[np.float32] | npt.NDArray[np.int32]], outputs: Sequence[str]
    ) -> dict[str, npt.NDArray[np.float32]]: ...
    def layers(self) -> list[tuple[str, str, list[str], list[str]]]: ...
    def inputs(self) -> dict[str, tuple[int, ...] | None]: ...
    def index_inputs(self) -> list[str]: ...
    def outputs(self) -> list[str]: ...
    def blobs(self) -> list[str]: ...
    def stop(self) -> None: ...
    def memory(self) -> tuple[int, int]: ...
