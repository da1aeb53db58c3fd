"""What is in a checkpoint's bytes: family, init_kwargs and state_dict, as far as the file says them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stylegan import infer, official
from stylegan._torch import Tensor, safetensors_torch, torch
from stylegan.errors import CheckpointError
from stylegan.pickles import kind, quoted
from stylegan.torch_files import Module, Storage, TensorInfo, is_torch, read_pickle, read_torch

METADATA = "stylegan"
"""The key of a safetensors file's metadata that holds family and init_kwargs, as JSON."""

State = dict[str, Tensor]

Parts = tuple[str | None, dict[str, Any] | None, State]
"""family and init_kwargs, None where the file does not say them; and the state."""


def read_torch_or_pickle(data: bytes, which: str) -> Parts:
    """An official pickle, or a torch file with a state_dict, with the predecessor's parts, or with modules."""
    content = read_torch(data) if is_torch(data) else read_pickle(data)
    modules = [key for key, value in content.items() if isinstance(value, Module)] if isinstance(content, dict) else []
    if modules:
        if which not in modules:
            there = ", ".join(key for key in modules[:20] if official.is_name(key))
            raise CheckpointError(f"it has no {which}, it has {there}: choose with --which")
        content = content[which]
    if isinstance(content, Module):
        infos = official.tensors(content)
        state = _tensors(infos, len(data))
        try:
            family = infer.family_of(state)
        except CheckpointError as error:
            raise CheckpointError(f"a pickled {quoted(content.class_name)} is {error}") from None
        return family, official.init_kwargs(content, family), state
    for key in ("state_dict", which):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise CheckpointError(
            f"expected a state_dict (names to tensors), got {kind(content)}: save the generator's state_dict()"
        )
    if any(isinstance(value, dict) for value in content.values()):
        content = _predecessor(content, which)
    return None, None, _tensors(content, len(data))


def read_discriminator(data: bytes) -> State | None:
    """The discriminator's state_dict in an official pickle or a predecessor's .pth; None where there is none."""
    content = read_torch(data) if is_torch(data) else read_pickle(data)
    found = (content.get("D"), content.get("discriminator")) if isinstance(content, dict) else ()
    for part in found:
        if isinstance(part, Module):
            return _tensors(official.tensors(part), len(data))
        if isinstance(part, dict) and part:
            return _tensors(part, len(data))
    return None


def _predecessor(content: dict[Any, Any], which: str) -> dict[str, Any]:
    """mapping_ema and synthesis_ema, or mapping and synthesis, as one state_dict."""
    names = {part: part + ("_ema" if which == "G_ema" else "") for part in ("mapping", "synthesis")}
    parts = {part: content.get(name) for part, name in names.items()}
    if not all(isinstance(part, dict) for part in parts.values()):
        if isinstance(content.get("g_ema"), dict):
            content = {key: value for key, value in content["g_ema"].items() if official.is_name(key)}
            infer.family_of(content)  # raises: it says whose it is
        there = ", ".join(key for key in list(content)[:20] if official.is_name(key))
        raise CheckpointError(f"expected {' and '.join(names.values())} for {which}, it has {there}")
    return {f"{part}.{key}": value for part, values in parts.items() for key, value in (values or {}).items()}


def _tensors(infos: Mapping[Any, Any], size: int) -> State:
    """The described tensors as torch's, each with memory of its own. `size`: the bytes of the file.

    Tensors, and storages too, can overlap in a file that was made for it, and be much more than the file is.
    """
    if not infos:
        raise CheckpointError("expected a generator's state_dict, got an empty one")
    for key, value in infos.items():
        if not official.is_name(key) or not isinstance(value, TensorInfo):
            shown = repr(key) if type(key) is not str else repr(quoted(key))
            raise CheckpointError(
                f"expected a state_dict (names to tensors), but entry {shown} is {kind(value)}: "
                "save the generator's state_dict()"
            )
    storages = {id(info.storage): info.storage for info in infos.values()}
    held = sum(len(storage.data) for storage in storages.values())
    if max(held, sum(info.nbytes for info in infos.values())) > size:
        raise CheckpointError(f"its tensors overlap and hold more than the file's {size} bytes")
    numbers = {key: _numbers(storage) for key, storage in storages.items()}
    taken: set[int] = set()
    state = {}
    for key, info in infos.items():
        whole = numbers[id(info.storage)]
        tensor = whole.as_strided(info.size, info.stride, info.offset)
        if tensor.numel() != whole.numel() or id(whole) in taken:
            tensor = tensor.clone()
        taken.add(id(whole))
        state[key] = (tensor.float() if tensor.is_floating_point() else tensor).contiguous()
    return state


def _numbers(storage: Storage) -> Tensor:
    dtype: torch.dtype = getattr(torch, storage.dtype)
    if storage.numel == 0:
        return torch.empty(0, dtype=dtype)
    if dtype is torch.bool:  # other bytes than 0 and 1 are no booleans
        return torch.frombuffer(bytearray(storage.data), dtype=torch.uint8) != 0
    return torch.frombuffer(bytearray(storage.data), dtype=dtype)


def safetensors_bytes(family: str, init_kwargs: Mapping[str, Any], state: Mapping[str, Tensor]) -> bytes:
    """A generator as a file that read_safetensors reads; equal input gives equal bytes. Raises PackageMissing."""
    said = json.dumps({"family": family, "init_kwargs": init_kwargs}, sort_keys=True)
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    data: bytes = safetensors_torch().save(tensors, {METADATA: said})
    return data


def read_safetensors(data: bytes) -> Parts:
    load = safetensors_torch().load
    try:
        state = load(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        said = header.get("__metadata__", {}).get(METADATA)
        said = None if said is None else json.loads(said)
    except Exception as error:  # the reader raises many kinds on a damaged file
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(
            f"expected a safetensors file, but it cannot be read ({reason}): "
            "it is damaged or of another kind; fetch or save it again"
        ) from None
    for key in state:
        if not official.is_name(key):
            raise CheckpointError(f"expected names of tensors, got {ascii(key)[:80]}")
    if not state:
        raise CheckpointError("expected a generator's state_dict, got an empty one")
    state = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    if said is None:
        return None, None, state
    if not isinstance(said, dict) or said.keys() != {"family", "init_kwargs"} or said["family"] not in infer.MARKS:
        raise CheckpointError(f"its metadata {METADATA!r} is not what python -m stylegan.convert writes")
    return said["family"], official.plain(said["init_kwargs"], "init_kwargs"), state
