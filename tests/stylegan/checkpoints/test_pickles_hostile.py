"""Files that were made to harm: each is refused with one sentence, and nothing is executed."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile_support import KWARGS, network, refusal, text, valid
from official_pickles import dumps, official_network

from stylegan.checkpoints import checkpoint
from stylegan.checkpoints.pickle_values import Dict, Refused
from stylegan.checkpoints.torch_files import Module, Storage, read_pickle
from stylegan.errors import CheckpointError

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
