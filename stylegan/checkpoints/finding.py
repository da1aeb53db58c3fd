"""Which of the things in a file is the generator: wherever it lies, and whatever is wrapped around it."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stylegan._torch import Tensor
from stylegan.checkpoints import infer, official
from stylegan.checkpoints.pickle_values import Stray, kind, quoted
from stylegan.checkpoints.torch_files import Array, Module, TensorInfo
from stylegan.errors import CheckpointError, NetworkMissing

MAX_DEPTH, MAX_THINGS = 6, 2000
"""How deep, and among how many things, a network is looked for: far more than there are around one."""

TENSORS = (TensorInfo, Tensor, Array)
"""What a file of torch holds, one of safetensors, and one of numpy's arrays."""

_TENSORFLOW = "dnnlib.tflib.network.Network"
_GENERATORS = ("g", "netg", "gen", "generator", "params")
_OTHERS = ("d", "netd", "disc", "discriminator", "augment_pipe")


@dataclass(frozen=True)
class Found:
    """A generator: a pickled module, a TensorFlow network, or the tensors of a state_dict behind a prefix.

    name: the way to it, such as state_dict.decoder. layout: the names of its tensors, a key of infer.MARKS.
    around: the dict that holds it.
    """

    name: str
    thing: Module | Stray | dict[Any, Any]
    layout: str = ""
    prefix: str = ""
    around: dict[Any, Any] = field(default_factory=dict)

    @property
    def role(self) -> str | None:
        """G_ema, G or D by its name; None where that does not say it."""
        for part in reversed(self.name.lower().split(".")):
            if re.search(r"(^|_)(ema|average|shadow)", part):
                return "G_ema"
            if part in _GENERATORS:
                return "G"
            if part in _OTHERS:
                return "D"
        return None


def generator(content: Any, which: str) -> Found:
    """The network `which`, of configs.WHICH; where a file has one generator of no name, that one.

    Raises CheckpointError where there is none, or another one, or several.
    """
    found = list(_networks(content))
    by_name = [one for one in found if one.role == which]
    pool = by_name or [one for one in found if one.role is None and _is_generator(one)]
    if len(pool) == 1:
        return pool[0]
    names = [one.name for one in (pool or found) if one.name and official.is_name(one.name)][:20]
    if pool:
        raise CheckpointError(
            f"it has several generators: {', '.join(names)}: save the state_dict() of the one you want"
        )
    if names:
        raise NetworkMissing(f"it has no {which}, it has {', '.join(names)}: choose with --which")
    raise CheckpointError(_nothing(content))


def _is_generator(found: Found) -> bool:
    if not isinstance(found.thing, Module) or not found.name:
        return True
    try:
        return any(infer.marked(official.tensors(found.thing)))
    except CheckpointError:
        return False


def _networks(content: Any) -> Iterator[Found]:
    """Every pickled network, and every state_dict that has a generator's tensors, breadth first."""
    pending: deque[tuple[str, Any, dict[Any, Any], int]] = deque([("", content, {}, 0)])
    marked: dict[int, list[tuple[str, str]]] = {}  # the same thing may have several names
    for _ in range(MAX_THINGS):
        if not pending:
            return
        name, thing, around, depth = pending.popleft()
        module = official.as_module(thing)
        if module is not None:
            yield Found(name, module, around=around)
            continue
        if isinstance(thing, (tuple, list)) and len(thing) == 3 and all(map(_is_tensorflow, thing)):
            yield from (Found(role, net) for role, net in zip(("G", "D", "G_ema"), thing, strict=True))
            continue
        if _is_tensorflow(thing):
            yield Found(name, thing)
            continue
        if isinstance(thing, (tuple, list)) and len(thing) <= 16:
            thing = {str(i): value for i, value in enumerate(thing)}
        values = thing.content if isinstance(thing, Stray) else thing
        if not isinstance(values, dict):
            continue
        halves = list(_halves(name, values))
        yield from halves
        if id(values) not in marked:
            marked[id(values)] = infer.marked(
                key for key, value in values.items() if isinstance(value, TENSORS) and type(key) is str
            )
        for layout, prefix in marked[id(values)]:
            yield Found(_joined(name, prefix.rstrip(".")), values, layout, prefix, around)
        if not halves and depth < MAX_DEPTH and len(pending) < MAX_THINGS:
            pending += [
                (_joined(name, key), value, values, depth + 1)
                for key, value in values.items()
                if type(key) is str and isinstance(value, (dict, tuple, list, Stray, Module))
            ]


def _halves(name: str, values: dict[Any, Any]) -> Iterator[Found]:
    """The predecessor's file: mapping and synthesis by themselves, and mapping_ema and synthesis_ema."""
    for ending, role in (("_ema", "G_ema"), ("", "G")):
        parts = {part: values.get(part + ending) for part in ("mapping", "synthesis")}
        if all(isinstance(part, dict) for part in parts.values()):
            whole = {f"{part}.{key}": value for part, own in parts.items() for key, value in (own or {}).items()}
            layout = next((layout for layout, prefix in infer.marked(whole) if not prefix), "")
            yield Found(_joined(name, role), whole, layout)


def _is_tensorflow(thing: Any) -> bool:
    return isinstance(thing, Stray) and thing.name.endswith(_TENSORFLOW)


def tensorflow_discriminator(content: Any) -> Stray | None:
    """The second of the three networks of a TensorFlow file; None for every other file."""
    three = isinstance(content, (tuple, list)) and len(content) == 3 and all(map(_is_tensorflow, content))
    return content[1] if three else None


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name


def _nothing(content: Any) -> str:
    """Why there is no generator in it."""
    keys = sorted({key for group in _groups(content) for key in group})
    said = infer.why_not(keys)
    if said is None and isinstance(content, dict) and content:
        names = ", ".join(key for key in list(content)[:20] if official.is_name(key))
        odd = next((key for key, value in content.items() if not (official.is_name(key) and _holds(value))), None)
        if odd is not None:
            shown = repr(quoted(odd) if type(odd) is str else odd)
            return (
                f"expected a state_dict (names to tensors), but entry {shown} is {kind(content[odd])}: "
                "save the generator's state_dict()"
            )
        return f"no StyleGAN generator is in it, it has {names}"
    if content == {}:
        return "expected a generator's state_dict, got an empty one"
    return said or f"expected a state_dict (names to tensors), got {kind(content)}: save the generator's state_dict()"


def _holds(value: Any) -> bool:
    """Whether tensors may be in it."""
    return isinstance(value, (*TENSORS, dict, list, tuple, Stray, Module))


def _groups(content: Any) -> Iterator[list[str]]:
    """The names of the tensors of each state_dict."""
    pending, seen = deque([(content, 0)]), set[int]()
    while pending and len(seen) < MAX_THINGS:
        thing, depth = pending.popleft()
        values = thing.content if isinstance(thing, Stray) else thing
        if not isinstance(values, dict) or id(values) in seen or depth > MAX_DEPTH:
            continue
        seen.add(id(values))
        yield [key for key, value in values.items() if isinstance(value, TENSORS) and official.is_name(key)]
        pending += [(value, depth + 1) for value in values.values() if isinstance(value, (dict, Stray))]
