"""The configurations that `--cfg` names, for others to use."""

from __future__ import annotations

from stylegan.networks.configs import CONFIGS, Config, get_config

__all__ = ["CONFIGS", "Config", "get_config"]
