"""Damaged nets, one after the other, with guard pages behind each blob: each must load and run, or raise an NcnnError.

Run as a program, so that a crash is the crash of a subprocess: ``python tests/runtime/fuzz.py FIRST COUNT`` prints the
number of each case before it is tried. ``python tests/runtime/fuzz.py --minutes 30`` starts such programs one after the
other for so long, from case --first on, goes on behind each case that ends or hangs one, and says which they were. It
exits with 1 if there is one. With --all-types the layers that are put in are of every type that ncnn has.
"""

from __future__ import annotations

import argparse
import ast
import faulthandler
import math
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin would take most of the time

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from runtime_nets import everything, param_text

from runtime import Net
from runtime.errors import NcnnError, WeightsError

BATCH = 10_000_000  # cases of one program, which goes on until one ends it
TOLD = 500  # so often a program says what became of its cases
TELL = 300  # seconds between the lines that say how far it is
MEMORY = Path("/dev/shm")  # for files that are written and read at once
MOST_BYTES = 6 << 30  # of a program
HANG = 60  # seconds of a processor that a case may take; 20 times as long if it waits for one

NUMBERS = ["0", "-1", "1", "2", "3", "7", "16", "-233", "-234", "1000", "65536", "2000000000", "-2000000000",
           "2147483647", "-2147483648", "99999999999", "1.5", "1.00000000e+30", "1e99", "nan", "inf", "-inf", "abc", "",
           '"w"', "1,2,3", "4,", ",", "=", "-"]  # fmt: skip
EXTRA_TYPES = ["Noop", "Split", "Eltwise", "Permute", "Interp", "Crop", "Reduction", "Flatten", "PixelShuffle",
               "Scale", "Bias", "InstanceNorm", "GroupNorm", "RMSNorm", "Gemm", "Lerp", "AddNoise", "F4DOp1D", "Down2",
               "Up2", "Up4", "Transforms", "StyleMixingSwitcher", "Fmatmul", "CoordConcat", "StyleganPost", "Clamp",
               "UnaryOp", "Sigmoid", "ReLU", "ELU", "HardSwish", "ExpandDims", "Squeeze", "Tile", "LRN", "Reorg",
               "ShuffleChannel", "Embed", "LSTM", "GRU", "RNN", "CumulativeSum", "Normalize", "MVN", "Quantize",
               "Dequantize", "Cast", "Packing", "Unfold", "GridSample", "DeconvolutionDepthWise", "Convolution1D",
               "FconvTranspose2d", "Deconvolution1D", "Pooling1D", "CopyTo", "Power", "Exp", "Log",
               "MultiHeadAttention", "Convolution3D", "Deconvolution3D", "Pooling3D",
               "FusedConv2d", "ModulatedConv2d", "ToRGB"]  # fmt: skip


def numbers(rng: random.Random, lines: list[str]) -> None:
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        i = rng.randrange(len(lines))
        words = lines[i].split(" ")
        keyed = [j for j, word in enumerate(words) if "=" in word]
        if keyed and rng.random() < 0.85:
            j = rng.choice(keyed)
            key, _, value = words[j].partition("=")
            if rng.random() < 0.15:
                words[j] = f"{rng.choice([*map(str, range(-1, 33)), '-23300', '-23399'])}={value}"
            elif "," in value and rng.random() < 0.7:
                parts = value.split(",")
                parts[rng.randrange(len(parts))] = rng.choice(NUMBERS)
                words[j] = f"{key}={','.join(parts)}"
            else:
                words[j] = f"{key}={rng.choice(NUMBERS)}"
        else:
            words[rng.randrange(len(words))] = rng.choice(NUMBERS)
        lines[i] = " ".join(words)


def added_param(rng: random.Random, lines: list[str]) -> None:
    i = rng.randrange(len(lines))
    lines[i] += f" {rng.randrange(32)}={rng.choice(NUMBERS)}"


def removed_param(rng: random.Random, lines: list[str]) -> None:
    i = rng.randrange(len(lines))
    words = lines[i].split(" ")
    keyed = [j for j, word in enumerate(words) if "=" in word]
    if keyed:
        del words[rng.choice(keyed)]
    lines[i] = " ".join(words)


def changed_type(rng: random.Random, lines: list[str]) -> None:
    i = rng.randrange(len(lines))
    types = [line.split(" ")[0] for line in lines] + EXTRA_TYPES
    lines[i] = " ".join([rng.choice(types), *lines[i].split(" ")[1:]])


ALL_TYPES = [*EXTRA_TYPES, "AbsVal", "BNLL", "CELU", "Deconvolution", "ConvolutionDepthWise1D", "DeepCopy",
             "DeformableConv2D", "Diag", "Dropout", "Einsum", "Erf", "Flip", "Fold", "GELU", "GLU", "HardSigmoid",
             "InverseSpectrogram", "MatMul", "MemoryData", "Mish", "PSROIPooling", "PriorBox", "Proposal", "ROIAlign",
             "ROIPooling", "Requantize", "RotaryEmbed", "SDPA", "SELU", "SPP", "Shrink", "Softplus", "Spectrogram",
             "StatisticsPooling", "Swish", "TanH", "Threshold", "DetectionOutput", "YoloDetectionOutput",
             "Yolov3DetectionOutput", "DeconvolutionDepthWise1D", "ConvolutionDepthWise3D",
             "DeconvolutionDepthWise3D"]  # fmt: skip


def inserted_layer(rng: random.Random, lines: list[str]) -> None:
    """A layer of any type between a blob and its consumer, with parameters made up."""
    i = rng.randrange(1, len(lines))
    words = lines[i].split(" ")
    if len(words) < 5 or words[2] not in ("1", "2", "3"):
        return
    blob = words[4]
    words[4] = "inserted"
    params = " ".join(f"{k}={rng.choice(NUMBERS[:11])}" for k in sorted(rng.sample(range(20), rng.randrange(4))))
    lines[i] = " ".join(words)
    lines.insert(i, f"{rng.choice(EXTRA_TYPES)} inserted_layer 1 1 {blob} inserted {params}".rstrip())


def free_inputs(rng: random.Random, lines: list[str]) -> None:
    lines[0] = "Input in 0 1 x"


def structure(rng: random.Random, lines: list[str]) -> None:
    what = rng.randrange(5)
    i, j = rng.randrange(len(lines)), rng.randrange(len(lines))
    if what == 0:
        del lines[i]
    elif what == 1:
        lines.insert(j, lines[i])
    elif what == 2:
        lines[i], lines[j] = lines[j], lines[i]
    elif what == 3:
        rng.shuffle(lines)
    else:
        words = lines[i].split(" ")
        a, b = rng.randrange(len(words)), rng.randrange(len(words))
        words[a], words[b] = words[b], words[a]
        lines[i] = " ".join(words)


def damage_text(rng: random.Random, text: bytes) -> bytes:
    what = rng.randrange(4)
    if what == 0:
        return text[: rng.randrange(len(text) + 1)]
    if what == 1:
        return rng.randbytes(rng.randrange(400))
    changed = bytearray(text)
    for _ in range(rng.randrange(1, 6)):
        position = rng.randrange(len(changed))
        if what == 2:
            changed[position] = rng.randrange(256)
        else:
            del changed[position : position + rng.randrange(1, 30)]
            changed = changed or bytearray(b" ")
    return bytes(changed)


def damage_bin(rng: random.Random, data: bytes) -> bytes:
    what = rng.randrange(4)
    if what == 0:
        return data[: rng.randrange(len(data) + 1)]
    if what == 1:
        return data + rng.randbytes(rng.randrange(1, 100))
    if what == 2:
        return rng.randbytes(len(data))
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 20)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def any_layer(rng: random.Random, lines: list[str]) -> None:
    """A layer of any type of ncnn, with any parameters, on as many free inputs as it likes."""
    inputs = rng.choice([0, 1, 1, 1, 2, 2, 3, 4])
    outputs = rng.choice([1, 1, 1, 1, 2, 3])
    names = " ".join([*(f"i{i}" for i in range(inputs)), *(f"o{i}" for i in range(outputs))])
    values = [
        *NUMBERS[:11],
        "4",
        "5",
        "9",
        "1.00000000e+00",
        "-2.50000000e-01",
        "2.00000000e+00",
        "1,1",
        "2,1,0",
        "0,-1",
    ]
    params = " ".join(f"{k}={rng.choice(values)}" for k in sorted(rng.sample(range(22), rng.randrange(8))))
    lines[:] = [f"Input in{i} 0 1 i{i}" for i in range(inputs)]
    lines.append(f"{rng.choice(ALL_TYPES)} any {inputs} {outputs} {names} {params}".rstrip())


def make_case(number: int, all_types: bool = False) -> tuple[bytes, bytes, bool]:
    """Text, weights, and whether the weights may be fitted to what the text asks for, to get further."""
    if all_types and number % 2:
        lines: list[str] = []
        rng = random.Random(number)
        any_layer(rng, lines)
        return param_text(*lines).encode(), b"", True
    rng = random.Random(number)
    lines, data = everything(np.random.default_rng(number))
    kind = rng.random()
    if kind < 0.15:
        return damage_text(rng, param_text(*lines).encode()), data, False
    if kind < 0.25:
        return param_text(*lines).encode(), damage_bin(rng, data), False
    if rng.random() < 0.3:
        free_inputs(rng, lines)
    for _ in range(rng.choice([1, 1, 2])):
        rng.choice([numbers, numbers, numbers, added_param, removed_param, changed_type, inserted_layer,
                    inserted_layer, structure])(rng, lines)  # fmt: skip
    try:
        text = param_text(*lines)
    except (ValueError, IndexError):  # its counts are damaged: keep those of the whole net
        text = f"7767517\n{len(lines)} 22\n" + "\n".join(lines) + "\n"
    return text.encode(), data, True


def fit(data: bytes, error: WeightsError) -> bytes | None:
    """Weights of the length that the error asks for; None if it asks for none, or for more than 4 MB."""
    wanted = re.fullmatch(r"(\d+) bytes?(?: at offset (\d+))?", error.expected or "")
    if not wanted:
        return None
    length = int(wanted[1]) + int(wanted[2] or 0)
    if length > 4 << 20 or length == len(data):
        return None
    return data[:length] + np.full(max(0, length - len(data) + 3) // 4, 0.25, "<f4").tobytes()[: length - len(data)]


def try_case(directory: Path, number: int, all_types: bool = False) -> str:
    text, data, fitting = make_case(number, all_types)
    rng = np.random.default_rng(number)
    param, bin_ = directory / "net.param", directory / "net.bin"
    param.write_bytes(text)
    bin_.write_bytes(data)
    for _ in range(40):
        try:
            net = Net(param, bin_, threads=2, lightmode=number % 4 != 0, guard=True)
            break
        except WeightsError as error:
            fitted = fit(data, error) if fitting else None
            if fitted is None:
                return check_message(error)
            data = fitted
            bin_.write_bytes(data)
        except NcnnError as error:
            return check_message(error)
    else:
        return "weights not fitted"
    shapes = [(3, 9, 11), (4, 8, 8), (8, 1, 1), (3, 9, 11), (5,), (4, 6), (2, 3, 4, 5), (1, 1, 1), (16, 40, 3)]
    for _ in range(2):
        free = shapes[rng.integers(len(shapes))]
        small = {name: shape if shape and math.prod(shape) < 10**7 else free for name, shape in net.inputs.items()}
        inputs = {name: rng.standard_normal(shape) for name, shape in small.items()}
        try:
            net.run(inputs, net.blobs if number % 3 == 0 else None)
        except NcnnError as error:
            result = check_message(error)
        else:
            result = "ran"
    return result


def check_message(error: NcnnError) -> str:
    """An error is one line that says what and where; nothing else will do."""
    text = str(error)
    assert "\n" not in text and len(text) < 1500, text
    assert error.what and (error.file or error.what.startswith("input ")), text
    return type(error).__name__


def try_cases(first: int, count: int, all_types: bool) -> None:
    faulthandler.enable()
    # A net whose blobs are larger than this is refused by an allocation, and not by the system's killer.
    if not sanitized():  # AddressSanitizer takes terabytes of addresses
        resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    results: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as directory:
        for number in range(first, first + count):
            print(f"case {number}", flush=True)
            results[try_case(Path(directory), number, all_types)] += 1
            if (number + 1) % TOLD == 0 or number == first + count - 1:
                print(f"results {dict(results)}", flush=True)
                results.clear()


def sanitized() -> bool:
    """Whether this process runs with AddressSanitizer."""
    try:
        return "libasan" in Path("/proc/self/maps").read_text()
    except OSError:
        return False


def seconds_of(process: int) -> float:
    """Of a processor that it has used; 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rsplit(")")[-1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """Cases from `first` on. last: the one that was begun last; bad: so many ended or hung their program."""

    first: int
    last: int
    all_types: bool
    bad: int = 0
    results: Counter[str] = field(default_factory=Counter)
    printed: float = field(default_factory=time.monotonic)

    def tell(self) -> None:
        self.printed = time.monotonic()
        print(f"{self.last - self.first + 1} cases, {self.bad} bad, {dict(self.results)}", flush=True)


def watch(run: Run, end: float) -> tuple[str, str]:
    """One program, until it ends, hangs, or the time is over: how it ended ("" if for the time), and its complaint."""
    command = [sys.executable, __file__, str(run.last + 1), str(BATCH), *(["--all-types"] if run.all_types else [])]
    with tempfile.NamedTemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as error, open(out.name) as told:
        program = subprocess.Popen(command, stdout=out, stderr=error, text=True)
        held, begun, since = "", 0.0, time.monotonic()
        ended = hangs = False
        while not (ended or hangs) and time.monotonic() < end:
            time.sleep(0.05)
            ended = program.poll() is not None  # before its last words are read
            *lines, held = (held + told.read()).split("\n")
            for line in lines:
                kind, _, what = line.partition(" ")
                if kind == "case":
                    run.last, begun, since = int(what), seconds_of(program.pid), time.monotonic()
                else:
                    run.results.update(ast.literal_eval(what))
            hangs = not ended and (seconds_of(program.pid) - begun > HANG or time.monotonic() > since + 20 * HANG)
            if time.monotonic() > run.printed + TELL:
                run.tell()
        program.kill()
        program.wait()
        error.seek(0)
        how = f"exit status {program.returncode}" if ended else "hangs" if hangs else ""
        return how, error.read()


def try_for(minutes: float, first: int, all_types: bool) -> int:
    """Returns the number of cases that ended or hung their program."""
    end, run = time.monotonic() + 60 * minutes, Run(first, first - 1, all_types)
    while time.monotonic() < end:
        how, complaint = watch(run, end)
        if how:
            run.bad += 1
            net = make_case(max(run.last, first), all_types)[0].decode(errors="backslashreplace")
            print(f"case {run.last}: {how}: {complaint.strip()[:600]}\n{net}", flush=True)
            if run.last < first:
                break  # it did not begin: its fault is no case's
    run.tell()
    return run.bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("range", nargs="*", type=int, metavar="FIRST COUNT")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--all-types", action="store_true")
    arguments = parser.parse_args()
    if arguments.minutes is not None:
        return 1 if try_for(arguments.minutes, arguments.first, arguments.all_types) else 0
    first, count = arguments.range
    try_cases(first, count, arguments.all_types)
    return 0


if __name__ == "__main__":
    sys.exit(main())
