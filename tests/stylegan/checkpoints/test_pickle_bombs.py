"""Files that promise more than a machine has: each is refused in bounded time and memory."""

from __future__ import annotations

import io
import json
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile_support import KWARGS, V3_KWARGS, network, refusal, text
from official_pickles import dumps, official_network
from safetensors.torch import save

from stylegan.checkpoints.pickles import MAX_OPCODES

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


def other_bombs() -> dict[str, bytes]:
    file = io.BytesIO()
    torch.save({"w": torch.zeros(4)}, file, _use_new_zipfile_serialization=False)
    assert file.getvalue().count(b"K\x04N") == 1  # the number of numbers, and no view
    claims = file.getvalue().replace(b"K\x04N", b"\x8a\x07\0\0\0\0\0\0\1N")
    return {
        "kwargs": _shared_kwargs(),
        "again": _storage_again_and_again(),
        "claims": claims,
        "same": _storages_of_the_same_bytes(),
    }


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


def no_networks() -> dict[str, bytes]:
    files = {}
    for changes, _ in NO_NETWORKS:
        pickled = official_network("v2ada", network(), KWARGS)
        pickled.attributes["_init_kwargs"] = KWARGS | changes
        files[str(changes)] = dumps({"G_ema": pickled})
    return files


NO_V3_NETWORKS: list[dict[str, Any]] = [
    dict(filter_size=10**6),
    dict(lrelu_upsampling=10**6),
    dict(first_cutoff=1e-30, first_stopband=2e-30),
    dict(img_resolution=2**62),
    dict(num_layers=10**9),
    dict(margin_size=10**12),
    dict(conv_kernel=10**6),
]


def no_v3_networks() -> dict[str, bytes]:
    return {
        str(changes): save(
            network("v3").state_dict(), {"stylegan": json.dumps({"family": "v3", "init_kwargs": V3_KWARGS | changes})}
        )
        for changes in NO_V3_NETWORKS
    }


Said = dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Said:
    """What load and build_generator say of each file of each kind, in a process that may use 1 GiB, and 20 s of its own
    for each. One process for all: to import torch takes as long as many a bomb."""
    folder = tmp_path_factory.mktemp("bombs")
    kinds: dict[str, dict[str, bytes]] = {
        "bombs.pkl": {name: data for name, (data, _) in bombs().items()},
        "others.pkl": other_bombs(),
        "networks.pkl": no_networks(),
        "v3.safetensors": no_v3_networks(),
    }
    names = [(kind, name) for kind, files in kinds.items() for name in files]
    paths = [folder / f"{i}{Path(kind).suffix}" for i, (kind, _) in enumerate(names)]
    for path, (kind, name) in zip(paths, names, strict=True):
        path.write_bytes(kinds[kind][name])
    result = subprocess.run([sys.executable, "-c", LIMITED, *paths], capture_output=True, text=True, timeout=900)
    assert result.returncode == 0, (result.returncode, result.stdout[-1000:], result.stderr[-1000:])
    lines = result.stdout.splitlines()
    assert all(len(line) < 2000 for line in lines)
    found: Said = {kind: {} for kind in kinds}
    for (kind, name), line in zip(names, lines, strict=True):
        found[kind][name] = line
    return found


def test_bombs(said: Said) -> None:
    own = said["bombs.pkl"]
    assert {name: expected for name, (_, expected) in bombs().items() if expected not in own[name]} == {}, own


def test_other_bombs(said: Said) -> None:
    own = said["others.pkl"]
    assert "_init_kwargs: expected a few values" in own["kwargs"]
    assert "more than 1000000 opcodes" in own["again"]
    assert "a storage cut short" in own["claims"]
    assert "its tensors overlap and hold more than the file's" in own["same"]


def test_init_kwargs_of_a_network_that_is_not_there(said: Said) -> None:
    own = said["networks.pkl"]
    assert {str(changes): text for changes, text in NO_NETWORKS if text not in own[str(changes)]} == {}, own


def test_init_kwargs_of_a_v3_network_that_is_not_there(said: Said) -> None:
    for changes, line in said["v3.safetensors"].items():
        assert "build no generator" in line or "does not fit the network" in line, (changes, line)


@pytest.mark.parametrize(
    "metadata",
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
def test_metadata_that_convert_did_not_write(metadata: str, tmp_path: Path) -> None:
    message = refusal(tmp_path, save(network("v3").state_dict(), {"stylegan": metadata}), "net.safetensors")
    assert "metadata" in message or "expected a dict" in message or "cannot be read" in message
