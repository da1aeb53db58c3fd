"""Going on with a training of the predecessor (miemieGAN): its .pth files, such as 65.pth or 64_1000.pth."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylegan._torch import Tensor, torch
from stylegan.checkpoints import checkpoint, file_kinds, readers, torch_files
from stylegan.checkpoints.pickle_values import Refused
from stylegan.errors import CheckpointError
from stylegan.training.trainer import Trainer

HALVES = ("synthesis", "mapping")
PARTS = (*HALVES, *(f"{half}_ema" for half in HALVES), "discriminator")
OPTIMISERS = ("optimizer_G", "optimizer_D")


def resume(trainer: Trainer, path: str, pictures: int) -> str:
    """Put networks, optimisers and the number of steps of a file into the trainer; what came of it, as a sentence.

    pictures: of the data, mirrored ones too: the file counts rounds through them. The augmentation's probability and
    the mean path length begin anew, as the predecessor itself does not keep them. Raises CheckpointError where anything
    is missing or of another network.
    """
    data, content = _read(path)
    parts = {name: readers.tensors(content[name], len(data)) for name in PARTS}
    weights = {
        "D": parts["discriminator"],
        **{
            name: {f"{part}.{key}": value for part in HALVES for key, value in parts[part + suffix].items()}
            for name, suffix in (("G", ""), ("G_ema", "_ema"))
        },
    }
    state = trainer.state()
    for name, network in (("G", trainer.G), ("G_ema", trainer.G_ema), ("D", trainer.D)):
        checkpoint.load_into(copy.deepcopy(network).cpu(), weights[name], f"{path}: {name}")
        state |= {f"{name}/{key}": value for key, value in weights[name].items()}
    for name, of in trainer.trained.items():
        # Its optimisers number the parameters in the order of the state_dict.
        ordered = [(key, of[key]) for key in weights[name] if key in of]
        state |= _adam(f"checkpoint {path}: optimizer_{name}", name, ordered, content[f"optimizer_{name}"], len(data))
    number = _steps(path, content["start_epoch"], pictures // trainer.settings.batch)
    trainer.load_state(state, number, number * trainer.settings.batch)
    return (
        f"its training goes on after {trainer.seen} pictures, with its optimisers; the probability of the augmentation "
        "and the mean path length, which are not in the file, begin anew"
    )


def _read(path: str) -> tuple[bytes, dict[str, Any]]:
    try:
        data = file_kinds.unpacked(Path(path).read_bytes())
        content = torch_files.read_torch(data)
    except OSError as error:
        raise CheckpointError(f"checkpoint {path}: it cannot be read: {error.strerror or error}") from None
    except Refused as error:
        raise CheckpointError(f"checkpoint {path}: it cannot be read: {error}") from None
    there = content if isinstance(content, dict) else {}
    missing = [name for name in (*PARTS, *OPTIMISERS) if not isinstance(there.get(name), dict)]
    if missing or type(there.get("start_epoch")) is not int:
        raise CheckpointError(
            f"checkpoint {path}: expected, for --resume, a training of the predecessor with start_epoch, "
            f"{', '.join((*PARTS, *OPTIMISERS))}; it lacks {', '.join(missing) or 'start_epoch'}. Leave --resume out "
            "to begin with its weights"
        )
    return data, there


def _adam(
    where: str, network: str, parameters: Sequence[tuple[str, Tensor]], content: dict[str, Any], size: int
) -> dict[str, Tensor]:
    """Adam's averages by the names that Trainer.state() gives them."""
    kept = content.get("state")
    if not isinstance(kept, dict) or len(kept) != len(parameters):
        count = len(kept) if isinstance(kept, dict) else "none"
        raise CheckpointError(
            f"{where}: expected {len(parameters)} parameters, got {count}: give what its exp freezes with "
            "--freeze-g-at and --freeze-d-at"
        )
    found: dict[str, Tensor] = {}
    for i, (key, p) in enumerate(parameters):
        of = kept.get(i)
        if not isinstance(of, dict) or not {"step", "exp_avg", "exp_avg_sq"} <= of.keys():
            raise CheckpointError(f"{where}: expected step, exp_avg and exp_avg_sq of parameter {i}, {key}")
        step = of["step"]
        averages = readers.tensors({name: of[name] for name in ("exp_avg", "exp_avg_sq")}, size)
        for name, value in averages.items():
            if value.shape != p.shape or not value.isfinite().all():
                got = list(value.shape)
                raise CheckpointError(f"{where}: {name} of {key}: expected {list(p.shape)} finite numbers, got {got}")
        steps = torch.tensor(step) if type(step) in (int, float) else readers.tensors({"step": step}, size)["step"]
        found |= {f"{network}_adam/{key}/{name}": value for name, value in averages.items()}
        found[f"{network}_adam/{key}/step"] = steps.float().reshape([])
    return found


def _steps(path: str, epochs: int, in_one: int) -> int:
    """64_1000.pth is saved within round 64, after 1000 of its steps; 65.pth after 65 whole rounds."""
    within = re.match(r"\d+_(\d+)\.", Path(path).name)
    return epochs * in_one if within is None else (epochs - 1) * in_one + int(within[1])
