"""Files that were made to harm: each is refused with one sentence, nothing is executed, memory and time are bounded."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from official_pickles import CODE_BASES, dumps, official_network, snapshot
from safetensors.torch import save

from stylegan.checkpoints import checkpoint
from stylegan.checkpoints.pickle_values import Dict, Refused
from stylegan.checkpoints.pickles import MAX_OPCODES
from stylegan.checkpoints.torch_files import Module, Storage, read_pickle
from stylegan.errors import CheckpointError

KWARGS: dict[str, Any] = dict(
    z_dim=4,
    c_dim=0,
    w_dim=4,
    img_resolution=8,
    img_channels=1,
    mapping_kwargs=dict(num_layers=1),
    synthesis_kwargs=dict(channel_base=16, channel_max=2),
)
V3_KWARGS = {key: value for key, value in KWARGS.items() if key != "synthesis_kwargs"} | dict(
    img_resolution=16, channel_base=32, channel_max=2, num_layers=4
)
KINDS = {base: V3_KWARGS if family == "v3" else KWARGS for base, family in CODE_BASES.items()}


def network(base: str = "v2ada") -> checkpoint.Generator:
    family, kwargs = CODE_BASES[base], KINDS[base]
    return checkpoint.build_generator(family, kwargs, checkpoint.random_state(family, kwargs), base)


def valid(base: str = "v2ada", protocol: int = 4) -> bytes:
    return dumps(snapshot(base, network(base), KINDS[base]), protocol)


def refusal(tmp_path: Path, data: bytes, name: str = "net.pkl") -> str:
    """What load says of it; its file's place is left out."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.load(path)
    message = str(caught.value)
    assert "\n" not in message and len(message) < 2000
    return message.replace(str(tmp_path), "")


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


TOUCH = text("touch TRACE") + b"\x85"

EXECUTING = {
    "GLOBAL and REDUCE": (b"\x80\x02cos\nsystem\n" + TOUCH + b"R.", "the name os.system at byte 2"),
    "STACK_GLOBAL": (
        b"\x80\x04" + text("os") + text("system") + b"\x93" + TOUCH + b"R.",
        "the name os.system at byte 14",
    ),
    "memoised STACK_GLOBAL": (
        b"\x80\x04" + text("os") + b"\x94" + text("system") + b"\x94" + b"00h\0h\1\x93" + TOUCH + b"R.",
        "opcode POP",
    ),
    "STACK_GLOBAL of memoised texts": (
        b"\x80\x04](" + text("os") + b"\x94" + text("system") + b"\x94eh\0h\1\x93" + TOUCH + b"R.",
        "the name os.system at byte 23",
    ),
    "INST": (b"\x80\x02(" + text("touch TRACE") + b"ios\nsystem\n.", "opcode INST at byte 16"),
    "OBJ": (b"\x80\x02(cos\nsystem\n" + text("touch TRACE") + b"o.", "the name os.system at byte 3"),
    "OBJ of a known name": (b"\x80\x02(ccollections\nOrderedDict\no.", "opcode OBJ"),
    "NEWOBJ": (b"\x80\x02csubprocess\nPopen\n" + TOUCH + b"\x81.", "the name subprocess.Popen at byte 2"),
    "NEWOBJ of a known name": (b"\x80\x02ccollections\nOrderedDict\n)\x81.", "a call of the name collections.Ord"),
    "NEWOBJ_EX": (b"\x80\x04csubprocess\nPopen\n)}\x92.", "the name subprocess.Popen"),
    "NEWOBJ_EX of a known name": (b"\x80\x04cdnnlib.util\nEasyDict\n)}\x92.", "opcode NEWOBJ_EX"),
    "EXT1": (b"\x80\x02\x82\x01.", "opcode EXT1 at byte 2"),
    "EXT2": (b"\x80\x02\x83\x01\x00.", "opcode EXT2 at byte 2"),
    "EXT4": (b"\x80\x02\x84\x01\x00\x00\x00.", "opcode EXT4 at byte 2"),
    "copyreg": (b"\x80\x02ccopyreg\n_reconstructor\n.", "the name copyreg._reconstructor"),
    "getattr": (b"\x80\x02cbuiltins\ngetattr\n.", "the name builtins.getattr"),
    "eval": (b"\x80\x02c__builtin__\neval\n.", "the name __builtin__.eval"),
    "a dotted name": (b"\x80\x04" + text("collections") + text("OrderedDict.fromkeys") + b"\x93.", "fromkeys at byte"),
    "a module's attribute": (b"\x80\x02ctorch.storage\nos.system\n.", "the name torch.storage.os.system"),
    "torch.load": (b"\x80\x02ctorch.serialization\nload\n.", "the name torch.serialization.load"),
    "numpy's loader": (b"\x80\x02cnumpy\nload\n.", "the name numpy.load"),
    "a persistent id": (b"\x80\x02X\x01\0\0\0aQ.", "a persistent id at byte 8"),
    "PERSID": (b"\x80\x02Pos.system\n.", "opcode PERSID"),
    "BUILD of a dict": (b"\x80\x02}}b.", "a state for dict"),
    "BUILD of a name": (b"\x80\x02ccollections\nOrderedDict\n}b.", "a state for the name collections.OrderedDict"),
    "BUILD of slots": (b"\x80\x02ccollections\nOrderedDict\n)R}}\x86b.", "the state of a dict is tuple"),
    "items of a name": (b"\x80\x02ccollections\nOrderedDict\nK\1K\2s.", "items set in the name"),
    "append to a set": (b"\x80\x04\x8fK\1a.", "items appended to set"),
    "a call of a result": (b"\x80\x02ccollections\nOrderedDict\n)R)R.", "a call of Dict"),
    "a call of a text": (b"\x80\x02X\x01\0\0\0a)R.", "a call of str"),
    "a call with a list": (b"\x80\x02ccollections\nOrderedDict\n]R.", "with list"),
    "a dtype of a call": (b"\x80\x02cnumpy\ndtype\n}\x85R.", "a dtype without a code"),
    "NEWOBJ_EX with keywords that are a list": (
        b"\x80\x04cevil\nRun\n)]\x92.",
        "opcode NEWOBJ_EX with the name evil.Run",
    ),
    "INST of a stranger": (b"\x80\x02(" + text("touch TRACE") + b"ievil\nrun\n.", "opcode INST at byte 16"),
    "OBJ of a stranger": (b"\x80\x02(cevil\nrun\n" + text("touch TRACE") + b"o.", "opcode OBJ"),
    "a call of what a stranger gave": (b"\x80\x02cevil\nrun\n)R)R.", "a call of an object of evil.run with tuple"),
    "an attribute of a stranger": (b"\x80\x02cbuiltins\ngetattr\ncevil\nrun\n.", "the name builtins.getattr"),
    "a module of the library": (b"\x80\x02crunpy\nrun_path\n.", "the name runpy.run_path at byte 2"),
    "a name behind one that is known": (b"\x80\x02cpathlib\nos.system\n.", "the name pathlib.os.system"),
    "a class of the library that runs": (b"\x80\x02clogging.config\nDictConfigurator\n.", "the name logging.config"),
    "torch.hub": (b"\x80\x02ctorch.hub\nload\n.", "the name torch.hub.load"),
    "torch.compile": (b"\x80\x02ctorch\ncompile\n.", "the name torch.compile"),
    "a function behind a class of torch": (b"\x80\x02ctorch.nn\nModule.load_state_dict\n.", "torch.nn.Module.load"),
    "numpy behind random": (b"\x80\x02cnumpy.random\nos.system\n.", "the name numpy.random.os.system"),
    "a name with blanks": (b"\x80\x02cevil\nrun this\n.", "the name evil.run this"),
    "numpy's names": (b"\x80\x02cnumpy\nndarray\n)R.", "a call of the name numpy.ndarray"),
    "an array of what is no array": (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nccollections\nOrderedDict\nK\0\x85C\1b\x87R.",
        "arguments of an array",
    ),
    "protocol 0": (b"cos\nsystem\n.", "the name os.system at byte 0"),
    "a number in decimal": (b"\x80\x02L" + b"9" * 100_000 + b"L\n.", "opcode LONG at byte 2"),
    "protocol 9": (b"\x80\x09N.", "pickle protocol 9"),
    "no opcode": (b"\x80\x04\xff.", "0xff, which is no opcode, at byte 2"),
}


@pytest.mark.parametrize("name", EXECUTING)
def test_what_would_execute_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, said = EXECUTING[name]
    monkeypatch.chdir(tmp_path)
    message = refusal(tmp_path, data)
    assert said in message and "nothing of it was executed" in message
    assert [path.name for path in tmp_path.iterdir()] == ["net.pkl"]


def test_the_canary_of_these_tests_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own unpickler does what the files say."""
    monkeypatch.chdir(tmp_path)
    for name in ("GLOBAL and REDUCE", "STACK_GLOBAL", "STACK_GLOBAL of memoised texts", "INST"):
        (Path("TRACE")).unlink(missing_ok=True)
        try:
            pickle.loads(EXECUTING[name][0])
        except pickle.UnpicklingError:
            assert name == "STACK_GLOBAL of memoised texts"  # a list is left on the stack, after the call
        assert Path("TRACE").exists(), name


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", ["GLOBAL and REDUCE", "STACK_GLOBAL", "INST", "NEWOBJ"])
def test_inside_a_valid_file(name: str, protocol: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data, hostile = valid(protocol=protocol), EXECUTING[name][0][2:-1]
    at = data.rindex(b"training_set_kwargs") - (2 if protocol == 4 else 5)
    message = refusal(tmp_path, data[:at] + hostile + data[at:])
    assert any(f"at byte {n}" in message for n in range(at - 100, at + len(hostile) + 1))
    assert [path.name for path in tmp_path.iterdir()] == ["net.pkl"]


def test_a_state_of_a_dict_sets_nothing() -> None:
    """BUILD: an attribute of the stream's would else replace a method of the object."""
    state = b"}(" + text("__class__") + b"N" + text("__dict__") + b"}" + text("items") + b"N" + text("build") + b"Nu"
    made = read_pickle(b"\x80\x02ccollections\nOrderedDict\n)R" + state + b"b" + state + b"b.")
    assert type(made) is Dict and made == {} and vars(made) == {} and list(made.items()) == []


class Executed:
    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.trace}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_within_a_storage(tmp_path: Path, zipped: bool) -> None:
    file = io.BytesIO()
    torch.save(Executed(tmp_path / "trace"), file, _use_new_zipfile_serialization=zipped)
    head = b"\x80\x04" + text("torch.storage") + text("_load_from_bytes") + b"\x93"
    data = head + b"B" + struct.pack("<I", len(file.getvalue())) + file.getvalue() + b"\x85R."
    message = refusal(tmp_path, data)
    assert "the name posix.system" in message and "of the storage that is read at byte" in message
    assert not (tmp_path / "trace").exists()


@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("zipped", [True, False])
def test_a_storage_may_be_either_kind_of_torch_file(tmp_path: Path, zipped: bool) -> None:
    """torch writes the legacy kind there; a zip archive is read as well."""
    file = io.BytesIO()
    torch.save(torch.arange(5.0).storage(), file, _use_new_zipfile_serialization=zipped)
    head = b"\x80\x04" + text("torch.storage") + text("_load_from_bytes") + b"\x93"
    storage = read_pickle(head + b"B" + struct.pack("<I", len(file.getvalue())) + file.getvalue() + b"\x85R.")
    assert isinstance(storage, Storage) and (storage.dtype, storage.numel) == ("float32", 5)
    assert torch.frombuffer(bytearray(storage.data), dtype=torch.float32).tolist() == [0, 1, 2, 3, 4]


# -- tensors that reach beyond their storages -------------------------------------------------------------------


def with_tensor(arguments: tuple[Any, ...]) -> bytes:
    """A state_dict in torch's legacy format whose one tensor has these arguments behind its storage of 4 numbers."""
    file = io.BytesIO()
    torch.save({"w": torch.zeros(4)}, file, _use_new_zipfile_serialization=False)
    data = file.getvalue()
    old = b"K\x00K\x04\x85q\x08K\x01\x85q\t"  # 0, (4,), (1,)
    assert data.count(old) == 1
    new = b"".join(pickle.dumps(value, 2)[2:-1] for value in arguments)
    return data.replace(old, new)


@pytest.mark.parametrize(
    "arguments",
    [
        (1, (4,), (1,)),
        (0, (5,), (1,)),
        (0, (2, 2), (2, 2)),
        (-1, (4,), (1,)),
        (0, (-4,), (1,)),
        (0, (4,), (-1,)),
        (0, (2,), (2**70,)),
        (0, (2**40,), (0,)),
        (0, (2**40, 0), (1, 1)),
        (0, (2, 2), (1,)),
        (0, [4], (1,)),
        (0.0, (4,), (1,)),
        (True, (4,), (1,)),
        (0, (1,) * 70, (1,) * 70),
    ],
    ids=str,
)
def test_a_tensor_beyond_its_storage(tmp_path: Path, arguments: tuple[Any, ...]) -> None:
    message = refusal(tmp_path, with_tensor(arguments), "net.pt")
    if arguments != (0, (2**40, 0), (1, 1)):  # an empty one is within, but is no generator's
        assert "a tensor" in message


def test_tensors_within_their_storage_are_read(tmp_path: Path) -> None:
    for arguments in ((0, (2, 2), (2, 1)), (1, (3,), (1,)), (0, (2,), (3,)), (3, (), ())):
        assert "no StyleGAN generator" in refusal(tmp_path, with_tensor(arguments), "net.pt")


def test_overlapping_tensors_do_not_multiply(tmp_path: Path) -> None:
    base = torch.zeros(1000)
    names = ("synthesis.b4.conv1.weight", *(f"t{i}" for i in range(100)))
    torch.save(dict.fromkeys(names, base), tmp_path / "net.pt")
    with pytest.raises(CheckpointError, match="overlap and hold more than the file's"):
        checkpoint.load(tmp_path / "net.pt")


# -- damage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [2, 4])
def test_truncated_at_every_length(tmp_path: Path, protocol: int) -> None:
    data = dumps({"G_ema": official_network("v2ada", network(), KWARGS)}, protocol)
    for length in (*range(0, 3000), *range(3000, len(data), 29), len(data) - 1):
        with pytest.raises(Refused, match=r"at byte|the end of the file"):
            read_pickle(data[:length])
        if length % 500 == 0:
            assert ("executed" if length else "it is empty") in refusal(tmp_path, data[:length])
    assert isinstance(read_pickle(data)["G_ema"], Module)


@pytest.mark.parametrize("zipped", [True, False])
def test_truncated_torch_files(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "net.pt"
    torch.save(network().state_dict(), path, _use_new_zipfile_serialization=zipped)
    data = path.read_bytes()
    for length in range(0, len(data), 23):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"executed|expected"):
            checkpoint.load(path)


@pytest.mark.parametrize("seed", [1])
def test_random_damage(seed: int) -> None:
    """A little of what `python -m tests.fuzz_checkpoints` does for hours."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.fuzz_checkpoints", "--cases", "800", "--seed", str(seed)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "800 cases" in result.stdout and "refused" in result.stdout and "loaded" in result.stdout


# -- bombs ------------------------------------------------------------------------------------------------------

LIMITED = """
import resource, sys, time
from stylegan.checkpoints import checkpoint
from stylegan.errors import CheckpointError
import safetensors.torch
import scipy.special
pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (1 << 30), resource.RLIM_INFINITY))
for path in sys.argv[1:]:
    start = time.process_time()
    try:
        found = checkpoint.load(path)
        checkpoint.build_generator(found.family, found.init_kwargs, found.state, found.source)
        print("loaded")
    except CheckpointError as error:
        print(error if time.process_time() - start < 20 else "too slow")
"""


def refused_in_bounds(tmp_path: Path, files: dict[str, bytes], suffix: str = ".pkl") -> dict[str, str]:
    """What load and build_generator say of each, in a process that may use 1 GiB, and 20 s of its own for each."""
    paths = [tmp_path / f"{i}{suffix}" for i in range(len(files))]
    for path, data in zip(paths, files.values(), strict=True):
        path.write_bytes(data)
    result = subprocess.run([sys.executable, "-c", LIMITED, *paths], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, (result.returncode, result.stdout[-1000:], result.stderr[-1000:])
    lines = result.stdout.splitlines()
    assert all(len(line) < 2000 for line in lines)
    return dict(zip(files, lines, strict=True))


def _module(class_name: bytes, state: bytes) -> bytes:
    name = text("torch_utils.persistence") + text("_reconstruct_persistent_obj") + b"\x93"
    return (
        name
        + b"}("
        + text("type")
        + text("class")
        + text("class_name")
        + class_name
        + text("state")
        + state
        + b"u\x85R"
    )


def _module_bomb() -> bytes:
    """G_ema is a module that holds another twice, which holds another twice, and so on, 40 times."""
    data = _module(text("M"), b"}") + b"\x94"
    for i in range(40):
        pair = b"}(" + text("a") + b"h" + bytes([i]) + text("b") + b"h" + bytes([i]) + b"u"
        data += _module(text("M"), b"}" + text("_modules") + pair + b"s") + b"\x94"
    return b"\x80\x04}(" + text("x") + b"](" + data + b"e" + text("G_ema") + b"h\x28u."


def bombs() -> dict[str, tuple[bytes, str]]:
    return {
        "many objects": (b"\x80\x04" + b"\x8f" * (MAX_OPCODES * 20), "more than 1000000 opcodes"),
        "marks": (b"\x80\x04" + b"(" * (MAX_OPCODES * 20), "more than 1000000 opcodes"),
        "deep lists": (b"\x80\x04" + b"](" * 400_000 + b"e" * 100_000 + b".", "damage"),
        "deep tuples as a key": (b"\x80\x04})" + b"\x85" * 900_000 + b"Ns.", "a key that is tuple"),
        "doubled tuples as a key": (
            b"\x80\x04})" + b"\x94h\0\x86" * 1 + b"\x94h\x01\x86" * 60 + b"Ns.",
            "a key that is tuple",
        ),
        "a text of 4 GiB": (b"\x80\x04X\xff\xff\xff\xff.", "the end of the file"),
        "a text of 2^63": (b"\x80\x04\x8d" + b"\xff" * 7 + b"\x7f.", "the end of the file"),
        "bytes of 2^64": (b"\x80\x04\x8e" + b"\xff" * 8 + b".", "the end of the file"),
        "a frame of 2^63": (b"\x80\x04\x95" + b"\xff" * 7 + b"\x7fN.", "a frame that is larger than the file"),
        "a huge number": (b"\x80\x04\x8b\xff\xff\xff\x7f.", "opcode LONG4"),
        "numbers that collide as keys": (
            b"\x80\x04}("
            + b"".join(b"\x8a\x0a" + (i * (2**61 - 1)).to_bytes(10, "little") + b"N" for i in range(1, 100_000))
            + b"u.",
            "a key that is int",
        ),
        "a memo far away": (b"\x80\x04Nr\xff\xff\xff\xff0.", "opcode POP"),
        "many values": (
            b"\x80\x04}(" + b"".join(text(f"{i}") + b"}" for i in range(300_000)) + b"u.",
            "no StyleGAN generator",
        ),
        "many values within values": (
            b"\x80\x04}" + text("a") + b"}(" + b"".join(text(f"{i}") + b"N" for i in range(300_000)) + b"us.",
            "no StyleGAN generator is in it, it has a",
        ),
        "strangers": (b"\x80\x04cevil\nrun\n" + b"q\0" + b"h\0)R" * 340_000, "more than 1000000 opcodes"),
        "strangers within strangers": (
            b"\x80\x04}cevil\nrun\n" + b"q\0" + b")R" + b"h\0)R" * 190_000 + b"b" * 190_000 + text("G_ema") + b"N.",
            "damage",
        ),
        "strangers in a circle": (
            b"\x80\x04cevil\nrun\nq\0)Rq\1}"
            + text("_modules")
            + b"}"
            + text("module")
            + b"h\1s"
            + b"s"
            + text("_parameters")
            + b"}sb.",
            "got an object of evil.run",
        ),
        "shared modules": (_module_bomb(), "occurs twice, too deep"),
        "an array of 2^40 numbers": (
            b"\x80\x04cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\1b\x87R"
            b"(K\1\x8a\6\0\0\0\0\0\1\x85cnumpy\ndtype\nX\2\0\0\0f8\x89\x88\x87R\x89C\1xtb.",
            "an array whose bytes do not fit its shape",
        ),
    }


def test_bombs(tmp_path: Path) -> None:
    files = bombs()
    said = refused_in_bounds(tmp_path, {name: data for name, (data, _) in files.items()})
    assert {name: expected for name, (_, expected) in files.items() if expected not in said[name]} == {}, said


def _shared_kwargs() -> bytes:
    kwargs: Any = [1, 2]
    for _ in range(60):
        kwargs = [kwargs, kwargs]
    return dumps({"G_ema": official_network("v2ada", network(), KWARGS | {"z_dim": kwargs})})


def _storage_again_and_again() -> bytes:
    """A storage whose description of the machine is 50000 values long, read 50000 times."""
    file = io.BytesIO()
    torch.save(torch.zeros(1).untyped_storage(), file, _use_new_zipfile_serialization=False)
    machine = dict(protocol_version=1001, little_endian=True, type_sizes={"short": 2, "int": 4, "long": 4})
    old = pickle.dumps(machine, 2)
    assert file.getvalue().count(old) == 1
    inner = file.getvalue().replace(old, pickle.dumps(machine | {"x": [None] * 50_000}, 2))
    inner = inner.replace(b"ctorch.storage\nUntypedStorage\n", b"ctorch\nByteStorage\n")
    load = text("torch.storage") + text("_load_from_bytes") + b"\x93\x94"
    head = b"\x80\x04" + load + b"B" + struct.pack("<I", len(inner)) + inner + b"\x94"
    return head + b"h\0h\1\x85R" * 50_000


def _storages_of_the_same_bytes() -> bytes:
    """1000 storages that are read from the same 40 MB, and a number of each."""
    file = io.BytesIO()
    torch.save(torch.zeros(10_000_000).untyped_storage(), file, _use_new_zipfile_serialization=False)
    inner = file.getvalue().replace(b"ctorch.storage\nUntypedStorage\n", b"ctorch\nByteStorage\n")
    load = text("torch.storage") + text("_load_from_bytes") + b"\x93\x94"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n"
    data = b"\x80\x04}(" + text("kept") + b"](" + load + b"B" + struct.pack("<I", len(inner)) + inner + b"\x94e"
    data += text("state_dict") + b"}("
    each = tensor + b"(h\0h\1\x85RK\0K\1\x85K\1\x85\x89}tR"
    names = ("synthesis.b4.conv1.weight", *(f"t{i}" for i in range(1000)))
    return data + b"".join(text(name) + each for name in names) + b"uu."


def test_other_bombs(tmp_path: Path) -> None:
    file = io.BytesIO()
    torch.save({"w": torch.zeros(4)}, file, _use_new_zipfile_serialization=False)
    assert file.getvalue().count(b"K\x04N") == 1  # the number of numbers, and no view
    claims = file.getvalue().replace(b"K\x04N", b"\x8a\x07\0\0\0\0\0\0\1N")
    files = {
        "kwargs": _shared_kwargs(),
        "again": _storage_again_and_again(),
        "claims": claims,
        "same": _storages_of_the_same_bytes(),
    }
    said = refused_in_bounds(tmp_path, files)
    assert "_init_kwargs: expected a few values" in said["kwargs"]
    assert "more than 1000000 opcodes" in said["again"]
    assert "a storage cut short" in said["claims"]
    assert "its tensors overlap and hold more than the file's" in said["same"]


def test_compressed_archives(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(4)}, tmp_path / "plain.pt")
    with (
        zipfile.ZipFile(tmp_path / "plain.pt") as old,
        zipfile.ZipFile(tmp_path / "net.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, bytes(1 << 28) if "/data/" in name else old.read(name))
    assert "compressed or overlapping" in refusal(tmp_path, (tmp_path / "net.pt").read_bytes(), "net.pt")


TOO_LARGE = "much larger than the tensors"
NO_NETWORKS: list[tuple[dict[str, Any], str]] = [
    (dict(img_resolution=2**20, synthesis_kwargs=dict(channel_base=2**30, channel_max=2)), TOO_LARGE),
    (dict(img_resolution=2**60, synthesis_kwargs=dict(channel_base=2**61, channel_max=2)), TOO_LARGE),
    (dict(img_resolution=2**60), "build no generator"),
    (dict(w_dim=2**50), TOO_LARGE),
    (dict(z_dim=0, w_dim=2**40), TOO_LARGE),
    (dict(mapping_kwargs=dict(num_layers=2**30)), "build no generator"),
    (dict(mapping_kwargs=dict(num_layers=20_000)), TOO_LARGE),
    (dict(synthesis_kwargs=dict(kernel_size=10**6)), TOO_LARGE),
    (dict(synthesis_kwargs=dict(channel_base=2**50, channel_max=2**50)), TOO_LARGE),
    (dict(synthesis_kwargs=dict(bogus=1)), "build no generator"),
    (dict(synthesis_kwargs=3), "synthesis_kwargs is int"),
    (dict(z_dim="4"), "build no generator"),
    (dict(img_channels=-1), "build no generator"),
]


def test_init_kwargs_of_a_network_that_is_not_there(tmp_path: Path) -> None:
    files = {}
    for changes, _ in NO_NETWORKS:
        pickled = official_network("v2ada", network(), KWARGS)
        pickled.attributes["_init_kwargs"] = KWARGS | changes
        files[str(changes)] = dumps({"G_ema": pickled})
    said = refused_in_bounds(tmp_path, files)
    assert {str(changes): text for changes, text in NO_NETWORKS if text not in said[str(changes)]} == {}, said


NO_V3_NETWORKS: list[dict[str, Any]] = [
    dict(filter_size=10**6),
    dict(lrelu_upsampling=10**6),
    dict(first_cutoff=1e-30, first_stopband=2e-30),
    dict(img_resolution=2**62),
    dict(num_layers=10**9),
    dict(margin_size=10**12),
    dict(conv_kernel=10**6),
]


def test_init_kwargs_of_a_v3_network_that_is_not_there(tmp_path: Path) -> None:
    files = {
        str(changes): save(
            network("v3").state_dict(), {"stylegan": json.dumps({"family": "v3", "init_kwargs": V3_KWARGS | changes})}
        )
        for changes in NO_V3_NETWORKS
    }
    for changes, said in refused_in_bounds(tmp_path, files, ".safetensors").items():
        assert "build no generator" in said or "does not fit the network" in said, (changes, said)


@pytest.mark.parametrize(
    "said",
    [
        "3",
        "[]",
        "{}",
        '{"family": "v9", "init_kwargs": {}}',
        '{"family": "v3", "init_kwargs": [1]}',
        "[" * 100_000,
        "{",
    ],
)
def test_metadata_that_convert_did_not_write(said: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, save(network("v3").state_dict(), {"stylegan": said}), "net.safetensors")
    assert "metadata" in message or "expected a dict" in message or "cannot be read" in message
