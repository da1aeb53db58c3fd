"""What is in a checkpoint's bytes: family, init_kwargs and state_dict, as far as the file says them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from stylegan._torch import Tensor, safetensors_torch, torch
from stylegan.checkpoints import eg3d, file_kinds, finding, infer, keywords, official, rosinality, tensorflow_files
from stylegan.checkpoints.parts import Parts as Parts
from stylegan.checkpoints.parts import State as State
from stylegan.checkpoints.pickle_values import Stray, kind, quoted
from stylegan.checkpoints.torch_files import Array, Module, Storage, TensorInfo, is_torch, read_pickle, read_torch
from stylegan.errors import CheckpointError

METADATA = "stylegan"
"""The key of a safetensors file's metadata that holds family and init_kwargs, as JSON."""

BESIDE = (int, float, str, type(None))
"""What may stand among the tensors of a state_dict, such as the number of pictures seen."""


def read(data: bytes, which: str) -> Parts:
    """A file's generator; which: one of configs.WHICH. Raises CheckpointError, PackageMissing and Refused."""
    data = file_kinds.unpacked(data)
    if _is_safetensors(data):
        return _read_safetensors(data, which)
    return _read_content(read_torch(data) if is_torch(data) else read_pickle(data), which, len(data))


def _is_safetensors(data: bytes) -> bool:
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") < 1 << 40


def _read_content(content: Any, which: str, size: int) -> Parts:
    """The content of an official pickle, of TensorFlow's, or of a file of tensors: modules or state_dicts."""
    found = finding.generator(content, which)
    if isinstance(found.thing, Module):
        return _read_module(found.thing, size)
    if isinstance(found.thing, Stray):
        kwargs, state, said = tensorflow_files.converted(found.thing, size)
        return Parts("v2ada", kwargs, state, tuple(said))
    prefix = found.prefix
    inside = {key: value for key, value in found.thing.items() if type(key) is str and key.startswith(prefix)}
    if prefix:  # what is beside the generator is another network's, or a number of the training
        inside = {key: value for key, value in inside.items() if isinstance(value, finding.TENSORS)}
    else:
        beside = {key for key, value in inside.items() if isinstance(value, BESIDE) and "." not in key}
        inside = {key: value for key, value in found.thing.items() if key not in beside}
    state = {key[len(prefix) :]: value for key, value in _tensors(inside, size).items()}
    notes = (f"its names begin with {quoted(prefix)}",) if prefix else ()
    if prefix.endswith(eg3d.PREFIX):
        notes = (*notes, eg3d.NOTE, eg3d.UNSCALED)
    if found.layout == "rosinality":
        latent = found.around.get("latent_avg", found.thing.get("latent_avg"))
        return _of_rosinality(state, latent if isinstance(latent, finding.TENSORS) else None, size, notes)
    return Parts(None, None, state, notes)


def _of_rosinality(
    state: State, latent: TensorInfo | Tensor | Array | None, size: int, notes: tuple[str, ...] = ()
) -> Parts:
    latent_avg = None if latent is None else _tensors({"latent_avg": latent}, size)["latent_avg"]
    state, more = rosinality.converted(state, latent_avg)
    family, kwargs = infer.infer(state)
    kwargs["synthesis_kwargs"]["conv_clamp"] = None
    return Parts(family, kwargs, state, (*notes, *more), inferred=True)


def _read_module(module: Module, size: int) -> Parts:
    infos = official.tensors(module)
    marked = infer.marked(infos)
    if len(marked) == 1 and marked[0][1]:  # a network that the generator is a part of
        inner = official.inside(module, marked[0][1].rstrip(".").split("."))
        if inner is not None:
            found = _read_module(inner, size)
            return eg3d.planes(found, module) if marked[0][1] == eg3d.PREFIX else found
    state = _tensors(infos, size)
    if infer.ROSINALITY in state:
        return _of_rosinality(state, None, size)
    try:
        family = infer.family_of(state)
    except CheckpointError as error:
        raise CheckpointError(f"a pickled {quoted(module.class_name)} is {error}") from None
    kwargs = official.init_kwargs(module, family)
    if kwargs is None:
        return Parts(family, None, state)
    kwargs, idle = keywords.settled(family, kwargs)
    notes = (f"keywords that change no picture are left out: {', '.join(idle)}",) if idle else ()
    return Parts(family, kwargs, state, notes)


def read_discriminator(data: bytes) -> State | None:
    """The discriminator's state_dict in an official pickle, TensorFlow's, a predecessor's .pth or rosinality's file.

    None where there is no such one. The last three may lack the filters.
    """
    data = file_kinds.unpacked(data)
    if _is_safetensors(data):
        return None
    content = read_torch(data) if is_torch(data) else read_pickle(data)
    network = finding.tensorflow_discriminator(content)
    if network is not None:
        return tensorflow_files.discriminator(network, len(data)) or None
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("d"), dict) and content["d"]:
        return rosinality.discriminator(_tensors(content["d"], len(data))) or None
    for part in (content.get("D"), content.get("discriminator")):
        module = official.as_module(part)
        if module is not None:
            found = official.tensors(module)  # of forks that leave it out of what they save there may be none
            return _tensors(found, len(data)) if found else None
        if isinstance(part, dict) and part:
            return _tensors(part, len(data))
    return None


def tensors(infos: Mapping[Any, Any], size: int) -> State:
    """The tensors of a part of a file of `size` bytes. Raises CheckpointError."""
    return _tensors(infos, size)


def _tensors(infos: Mapping[Any, Any], size: int) -> State:
    """The described tensors as torch's, each with memory of its own. `size`: the bytes of the file.

    Tensors, and storages too, can overlap in a file that was made for it, and be much more than the file is.
    """
    if not infos:
        raise CheckpointError("expected a generator's state_dict, got an empty one")
    if all(isinstance(value, Tensor) for value in infos.values()):  # safetensors has read them
        return dict(infos)
    for key, value in infos.items():
        if not official.is_name(key) or not isinstance(value, (TensorInfo, Array)):
            shown = repr(key) if type(key) is not str else repr(quoted(key))
            raise CheckpointError(
                f"expected a state_dict (names to tensors), but entry {shown} is {kind(value)}: "
                "save the generator's state_dict()"
            )
    arrays = {key: value.value for key, value in infos.items() if isinstance(value, Array)}
    infos = {key: value for key, value in infos.items() if key not in arrays}
    storages = {id(info.storage): info.storage for info in infos.values()}
    held = sum(len(storage.data) for storage in storages.values())
    if max(held, sum(info.nbytes for info in infos.values())) + sum(array.nbytes for array in arrays.values()) > size:
        raise CheckpointError(f"its tensors overlap and hold more than the file's {size} bytes")
    numbers = {key: _numbers(storage) for key, storage in storages.items()}
    taken: set[int] = set()
    state = {key: _of_numpy(array) for key, array in arrays.items()}
    for key, info in infos.items():
        whole = numbers[id(info.storage)]
        tensor = whole.as_strided(info.size, info.stride, info.offset)
        if tensor.numel() != whole.numel() or id(whole) in taken:
            tensor = tensor.clone()
        taken.add(id(whole))
        state[key] = (tensor.float() if tensor.is_floating_point() else tensor).contiguous()
    return state


def _of_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """Of floats float32, whatever their order of bytes was."""
    kind = np.float32 if array.dtype.kind == "f" else array.dtype.newbyteorder("=")
    return torch.from_numpy(np.array(array, kind, order="C"))


def _numbers(storage: Storage) -> Tensor:
    dtype: torch.dtype = getattr(torch, storage.dtype)
    if storage.numel == 0:
        return torch.empty(0, dtype=dtype)
    if dtype is torch.bool:  # other bytes than 0 and 1 are no booleans
        return torch.frombuffer(bytearray(storage.data), dtype=torch.uint8) != 0
    return torch.frombuffer(bytearray(storage.data), dtype=dtype)


def safetensors_bytes(family: str, init_kwargs: Mapping[str, Any], state: Mapping[str, Tensor]) -> bytes:
    """A generator as a file that read() reads; equal input gives equal bytes. Raises PackageMissing."""
    said = json.dumps({"family": family, "init_kwargs": init_kwargs}, sort_keys=True)
    tensors = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    data: bytes = safetensors_torch().save(tensors, {METADATA: said})
    return data


def _read_safetensors(data: bytes, which: str) -> Parts:
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
        return _read_content(state, which, len(data))
    if not isinstance(said, dict) or said.keys() != {"family", "init_kwargs"} or said["family"] not in infer.MARKS:
        raise CheckpointError(f"its metadata {METADATA!r} is not what python -m stylegan.convert writes")
    return Parts(said["family"], official.plain(said["init_kwargs"], "init_kwargs"), state)
