"""Tensors in pickles and in torch's own files, as inert descriptions; numpy's numbers; modules of official pickles.

`read_pickle` reads an official .pkl, `read_torch` what torch.save wrote: a zip archive, or before torch 1.6 (and still
for every storage inside a plain pickle) the "legacy" sequence of pickles with the raw storages behind them. Both go
through `pickles.Unpickler` and this module's table of names. torch.load is not used, nor numpy's unpickling: with
weights_only too it allocates what a file claims and hashes what a file holds, so a small file can end the process.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stylegan.checkpoints import strays
from stylegan.checkpoints.pickle_values import (
    Buildable,
    Call,
    Dict,
    Global,
    Globals,
    Refused,
    Stray,
    as_key,
    kind,
    quoted,
)
from stylegan.checkpoints.pickles import Budget, Unpickler

DTYPES = {
    "FloatStorage": ("float32", 4),
    "HalfStorage": ("float16", 2),
    "BFloat16Storage": ("bfloat16", 2),
    "DoubleStorage": ("float64", 8),
    "LongStorage": ("int64", 8),
    "IntStorage": ("int32", 4),
    "ShortStorage": ("int16", 2),
    "CharStorage": ("int8", 1),
    "ByteStorage": ("uint8", 1),
    "BoolStorage": ("bool", 1),
    "ComplexFloatStorage": ("complex64", 8),
    "ComplexDoubleStorage": ("complex128", 16),
}
"""torch's storage classes: the name of the dtype and the bytes of a number."""

MAX_DIMS = 16
MAX_RECORDS = 100_000
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_ZIP = b"PK\x03\x04"


@dataclass(eq=False)
class Storage:
    """Numbers of one dtype; `data` are their bytes, little-endian."""

    dtype: str
    itemsize: int
    numel: int
    data: memoryview = field(default=memoryview(b""), repr=False)


@dataclass(frozen=True, eq=False)
class TensorInfo:
    """A tensor that lies within its storage; offset and stride count numbers."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.size) * self.storage.itemsize


@dataclass(frozen=True, eq=False)
class Module:
    """An object that torch_utils.persistence wrote: its class's name, and its __dict__. Its source is not kept."""

    class_name: str
    state: dict[str, Any]


# -- what the names of the table make ---------------------------------------------------------------------------


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise Refused(what)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _counts(value: Any) -> bool:
    return type(value) is tuple and len(value) <= MAX_DIMS and all(map(_count, value))


def _no_arguments(args: tuple[Any, ...]) -> Dict:
    _expect(args == (), "arguments of a dict")
    return Dict()


def _set(args: tuple[Any, ...]) -> set[Any]:
    _expect(len(args) == 1 and type(args[0]) is list, "arguments of a set")
    return set(map(as_key, args[0]))


def _encode(args: tuple[Any, ...]) -> memoryview:
    """How protocol 2 writes bytes."""
    _expect(len(args) == 2 and type(args[0]) is str and args[1] == "latin1", "arguments of _codecs.encode")
    return memoryview(args[0].encode("latin1"))


def _no_bytes(args: tuple[Any, ...]) -> memoryview:
    """How protocol 2 writes bytes of length 0."""
    _expect(args == (), "arguments of bytes")
    return memoryview(b"")


def _tensor(args: tuple[Any, ...]) -> TensorInfo | Stray:
    _expect(len(args) in (6, 7), "arguments of a tensor")
    storage, offset, size, stride = args[:4]
    if isinstance(storage, Stray):
        return storage
    good = isinstance(storage, Storage) and _count(offset) and _counts(size) and _counts(stride)
    _expect(good and len(size) == len(stride), "arguments of a tensor")
    _expect(math.prod(size) <= storage.numel, f"a tensor {list(size)} of more numbers than its storage")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if 0 not in size else offset - 1
    _expect(last < storage.numel, f"a tensor {list(size)} that reaches beyond its storage of {storage.numel} numbers")
    return TensorInfo(storage, offset, size, stride)


def _parameter(args: tuple[Any, ...]) -> TensorInfo | Stray:
    """A fourth argument are attributes that somebody gave to the parameter."""
    _expect(len(args) in (3, 4) and isinstance(args[0], (TensorInfo, Stray)), "arguments of a parameter")
    tensor: TensorInfo | Stray = args[0]
    return tensor


def _module(args: tuple[Any, ...]) -> Module:
    meta = args[0] if len(args) == 1 else None
    _expect(isinstance(meta, dict), "arguments of a persistent object")
    assert isinstance(meta, dict)
    what, name, state = (meta.get(key) for key in ("type", "class_name", "state"))
    good = type(what) is str and what == "class" and type(name) is str and isinstance(state, dict)
    _expect(good, "a persistent object without type 'class', class_name and state")
    return Module(str(name), state)  # type: ignore[arg-type]


def _dtype(args: tuple[Any, ...]) -> _Dtype | Stray:
    """numpy.dtype; a Stray where it is not one of plain numbers."""
    code = args[0] if args else None
    _expect(type(code) is str, "a dtype without a code")
    return (
        _Dtype(str(code)) if re.fullmatch("b1|[iu][1248]|f[248]", str(code)) else Stray("numpy.dtype, not of numbers")
    )


class _Dtype(Buildable):
    """numpy.dtype of plain numbers."""

    def __init__(self, code: str) -> None:
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        good = type(state) is tuple and len(state) == 8 and type(state[1]) is str and state[1] in tuple("<>|=")
        _expect(good and state[2:5] == (None, None, None), "the state of a dtype")
        self.dtype = self.dtype.newbyteorder(state[1])


def _array(data: Any, dtype: Any, shape: Any, fortran: Any) -> np.ndarray[Any, Any]:
    good = isinstance(data, memoryview) and isinstance(dtype, _Dtype) and _counts(shape) and type(fortran) is bool
    _expect(good and math.prod(shape) * dtype.dtype.itemsize == len(data), "an array whose bytes do not fit its shape")
    array: np.ndarray[Any, Any] = np.frombuffer(data, dtype.dtype).reshape(shape, order="F" if fortran else "C")
    return array


def _scalar(args: tuple[Any, ...]) -> Any:
    _expect(len(args) == 2, "arguments of a number")
    if isinstance(args[0], Stray):
        return args[0]
    return _array(args[1], args[0], (), False).item()


class Array(Buildable):
    """A numpy array: `value` is set by BUILD; it stays empty where the array is not of numbers."""

    def __init__(self, args: tuple[Any, ...]) -> None:
        good = len(args) == 3 and args[0] is _NDARRAY and args[1] == (0,)
        _expect(good, "arguments of an array")
        self.value = np.empty(0)

    def build(self, state: Any) -> None:
        _expect(type(state) is tuple and len(state) == 5 and state[0] == 1, "the state of an array")
        _, shape, dtype, fortran, data = state
        if isinstance(dtype, Stray):
            return
        self.value = _array(data, dtype, shape, fortran)


def _from_buffer(args: tuple[Any, ...]) -> Array:
    """How protocol 5 writes arrays."""
    good = len(args) == 4 and type(args[3]) is str and args[3] in ("C", "F")
    _expect(good, "arguments of an array")
    array = Array((_NDARRAY, (0,), None))
    if isinstance(args[1], Stray):
        return array
    array.value = _array(args[0], args[1], args[2], args[3] == "F")
    return array


def _size(args: tuple[Any, ...]) -> tuple[Any, ...]:
    _expect(len(args) == 1 and _counts(args[0]), "arguments of a size")
    size: tuple[Any, ...] = args[0]
    return size


def _defaults(args: tuple[Any, ...]) -> Dict:
    """A defaultdict as a dict: what it makes of a missing key is a name, which is not kept."""
    _expect(len(args) <= 1, "arguments of a defaultdict")
    return Dict()


_NDARRAY = Global("numpy.ndarray")


def _common() -> dict[tuple[str, str], Global]:
    table: dict[tuple[str, str], tuple[Call] | tuple[Call, Call]] = {
        ("collections", "OrderedDict"): (_no_arguments,),
        ("dnnlib.util", "EasyDict"): (_no_arguments, _no_arguments),
        ("torch._utils", "_rebuild_parameter"): (_parameter,),
        ("torch._utils", "_rebuild_parameter_with_state"): (_parameter,),
        ("torch._utils", "_rebuild_tensor_v2"): (_tensor,),
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): (_module,),
        ("numpy", "dtype"): (_dtype,),
        ("_codecs", "encode"): (_encode,),
        ("__builtin__", "bytes"): (_no_bytes,),
        ("__builtin__", "set"): (_set,),  # protocols 2 and 3 have no opcode for it
        ("collections", "defaultdict"): (_defaults,),
        ("torch", "Size"): (_size, _size),
    }
    for core in ("numpy.core", "numpy._core"):
        table[f"{core}.multiarray", "scalar"] = (_scalar,)
        table[f"{core}.multiarray", "_reconstruct"] = (Array,)
        table[f"{core}.numeric", "_frombuffer"] = (_from_buffer,)
    named = {key: Global(".".join(key), *calls) for key, calls in table.items()}
    return named | {("numpy", "ndarray"): _NDARRAY, ("builtins", "set"): named["__builtin__", "set"]}


_COMMON = _common()
_STORAGES = {("torch", name): Global(name) for name in DTYPES}


def _unknown(module: str, name: str) -> Global:
    """Forks that keep the official code in a folder of their own name it with that folder."""
    if name == "_reconstruct_persistent_obj":
        return _COMMON["torch_utils.persistence", name]
    if name == "EasyDict":
        return _COMMON["dnnlib.util", name]
    return strays.stray_name(module, name)


# -- files ------------------------------------------------------------------------------------------------------


def read_pickle(data: bytes) -> Any:
    """The content of a plain pickle whose tensors hold their storages. Raises Refused."""
    budget = Budget()

    def storage(args: tuple[Any, ...]) -> Storage:
        _expect(len(args) == 1 and isinstance(args[0], memoryview), "arguments of a storage")
        try:
            content = _read_zip(bytes(args[0]), {}, budget) if _is_zip(args[0]) else _read_legacy(args[0], {}, budget)
        except Refused as error:
            raise Refused(f"{error} of the storage that is read") from None
        _expect(isinstance(content, Storage), f"a storage that is {kind(content)}")
        assert isinstance(content, Storage)
        return content

    load = Global("torch.storage._load_from_bytes", storage)
    names = _COMMON | {("torch.storage", "_load_from_bytes"): load}
    return Unpickler(memoryview(data), names, budget, unknown=_unknown).load()


def is_torch(data: bytes) -> bool:
    """Whether torch.save wrote it: a zip archive, or a pickle of torch's magic number (LONG1 of 10 bytes)."""
    magic = b"\x8a\x0a" + _MAGIC.to_bytes(10, "little")
    return _is_zip(data) or magic in data[:32]


def read_torch(data: bytes) -> Any:
    """The content of a file of torch.save. Raises Refused."""
    if _is_zip(data):
        return _read_zip(data, _COMMON, Budget())
    return _read_legacy(memoryview(data), _COMMON, Budget())


def _is_zip(data: bytes | memoryview) -> bool:
    return data[:4] == _ZIP


class _Storages:
    """Makes the storages of one torch file from persistent ids; their bytes come when they are known."""

    def __init__(self, fields: int) -> None:
        self.fields = fields
        self.found: dict[str, Storage] = {}

    def __call__(self, pid: Any) -> Storage | Stray:
        good = type(pid) is tuple and len(pid) == self.fields and type(pid[0]) is str and pid[0] == "storage"
        _expect(good and isinstance(pid[1], Global), "a persistent id")
        if pid[1].name not in DTYPES and self.fields == 5:  # of a legacy file the length has to be known
            return Stray(pid[1].name)
        _expect(pid[1].name in DTYPES, "a persistent id")
        _expect(type(pid[2]) is str and _count(pid[4]) and pid[5:] in ((), (None,)), "a storage's description")
        dtype, itemsize = DTYPES[pid[1].name]
        storage = self.found.setdefault(pid[2], Storage(dtype, itemsize, pid[4]))
        _expect((storage.dtype, storage.numel) == (dtype, pid[4]), f"two descriptions of storage {quoted(pid[2])}")
        return storage


def _read_legacy(view: memoryview, globals_: Globals, budget: Budget) -> Any:
    """Pickles of the magic number, the version, the machine, the content and the keys; then length and bytes each."""
    storages = _Storages(6)
    at = 0

    def pickled(names: Globals = _STORAGES, unknown: Callable[[str, str], Global] | None = None) -> Any:
        nonlocal at
        unpickler = Unpickler(view, names, budget, storages, at, unknown)
        content = unpickler.load()
        at = unpickler.at
        return content

    head = (pickled(), pickled())
    _expect(head == (_MAGIC, _VERSION) and type(head[0]) is int, "no torch file")
    machine = pickled()
    _expect(isinstance(machine, dict) and machine.get("little_endian") is True, "a torch file not little-endian")
    content, keys = pickled({**_STORAGES, **globals_}, _unknown if globals_ else None), pickled()
    good = type(keys) is list and all(type(key) is str for key in keys) and sorted(keys) == sorted(storages.found)
    _expect(good, "a torch file whose list of storages is not that of its content")
    for key in keys:
        storage = storages.found[key]
        size = storage.numel * storage.itemsize
        stated, storage.data = view[at : at + 8], view[at + 8 : at + 8 + size]
        _expect(stated == storage.numel.to_bytes(8, "little") and len(storage.data) == size, "a storage cut short")
        at += 8 + size
    return content


def _read_zip(data: bytes, globals_: Globals, budget: Budget) -> Any:
    """ARCHIVE/data.pkl holds the content, ARCHIVE/data/KEY the storages, uncompressed."""
    _expect(data.count(b"PK\x01\x02") <= MAX_RECORDS, f"a zip archive of more than {MAX_RECORDS} files")
    storages = _Storages(5)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            records = {info.filename: info for info in archive.infolist()}
            names = [name for name in records if name.endswith("/data.pkl")]
            _expect(len(names) == 1, "a zip archive that is no torch file")
            folder = names[0].removesuffix("data.pkl")
            sizes = sum(info.file_size for info in records.values())
            plain = all(info.compress_type == zipfile.ZIP_STORED for info in records.values())
            _expect(plain and sizes <= len(data), "a zip archive with compressed or overlapping files")
            order = archive.read(records[f"{folder}byteorder"]) if f"{folder}byteorder" in records else b"little"
            _expect(order == b"little", "a torch file not little-endian")
            pickled = memoryview(archive.read(records[names[0]]))
            unknown = _unknown if globals_ else None
            content = Unpickler(pickled, {**_STORAGES, **globals_}, budget, storages, unknown=unknown).load()
            for key, storage in storages.found.items():
                record = records.get(f"{folder}data/{key}")
                _expect(record is not None, f"no storage {quoted(key)} in the archive")
                assert record is not None
                storage.data = memoryview(archive.read(record))
                good = len(storage.data) == storage.numel * storage.itemsize
                _expect(good, f"storage {quoted(key)} of another length than its description's")
    except Refused:
        raise
    except Exception as error:  # the archive reader raises a dozen kinds on a damaged file
        raise Refused("damage: the zip archive cannot be read") from error
    return content
