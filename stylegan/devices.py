"""The device that a command line names."""

from __future__ import annotations

from stylegan._torch import torch
from stylegan.errors import StyleganError


class DeviceError(StyleganError):
    """There is no such device, or it cannot be used."""


def choose(name: str | None) -> torch.device:
    """Of --device; cuda where there is one, and else cpu, for None. Raises DeviceError."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name).item()
        return torch.device(name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise DeviceError(f"--device {name}: cannot be used: {reason}; expected cpu or cuda[:N]") from None
