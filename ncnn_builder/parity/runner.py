"""Emitted models on a runtime that the caller hands in: this package knows none."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from ..emit import EmittedModel, write_files
from .bisect import Runner

NetClass: TypeAlias = Callable[..., Any]
"""(param path, bin path, **options) -> an object with run(inputs, outputs) -> arrays, such as runtime.Net."""


def loaded(model: EmittedModel, net: NetClass, **options: Any) -> Any:
    """The model through files, loaded with these options."""
    with tempfile.TemporaryDirectory() as folder:
        param, weights = Path(folder, "m.param"), Path(folder, "m.bin")
        write_files({param: [model.param.encode()], weights: [model.bin]})
        return net(param, weights, **options)


def runner(net: NetClass, **options: Any) -> Runner:
    """A Runner that loads each model with these options."""

    def run(model: EmittedModel, inputs: Mapping[str, Any], outputs: list[str]) -> dict[str, Any]:
        results: dict[str, Any] = loaded(model, net, **options).run(dict(inputs), outputs)
        return results

    return run
