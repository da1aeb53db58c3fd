"""python -m runtime.run: every mistake is one line on stderr and exit status 2, and nothing is written."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.run import main


def damage(name: str, change: Callable[[bytes], bytes]) -> Callable[[], None]:
    def apply() -> None:
        path = Path(name)
        path.write_bytes(change(path.read_bytes()))

    return apply


def nothing() -> None:
    pass


@pytest.mark.parametrize(
    ("arguments", "says", "prepare"),
    [
        ([], "bad mode; expected mode=image", nothing),
        (["mode=nosuch", "1.bin"], "bad mode.*got nosuch", nothing),
        (["mode=style_mixing", "seeds=1,2"], "It is called mode=grid rows=", nothing),
        (["mode=A2B", "seeds=1,2"], "It is called mode=a2b seeds=", nothing),
        (["mode=projector"], "It is python -m stylegan.project", nothing),
        (["mode=image"], "mode=image has a wrong number of seeds; expected 1 seed or more; got 0", nothing),
        (["mode=mix", "1.bin"], "expected 2 seeds; got 1", nothing),
        (["mode=mix", "1", "2", "3"], "expected 2 seeds; got 3", nothing),
        (["mode=a2b", "1.bin"], "expected 2 seeds or more; got 1", nothing),
        (["mode=w_avg", "1.bin"], "expected none; got 1", nothing),
        (["mode=grid", "rows=1"], "mode=grid needs seeds.*expected rows= and cols=; got no cols=", nothing),
        (["mode=grid", "cols=1"], "got no rows=", nothing),
        (["mode=grid"], "got no rows= and no cols=", nothing),
        (["mode=grid", "rows=1", "cols=2", "3"], "wrong number of seeds; expected rows= and cols=; got 1", nothing),
        (["mode=grid", "rows=1", "cols=2", "styles=3"], "styles= is out of range; expected 0 to 2; got 3", nothing),
        (["mode=grid", "rows=1", "cols=nosuch.bin"], "nosuch.bin: no such seed file", nothing),
        (["mode=image", "1", "seeds=2"], "seeds are given twice; expected seeds=, or seeds by themselves", nothing),
        (["mode=image", "seeds=1,,2"], "seeds= is not a list of seeds; expected numbers, ranges", nothing),
        (["mode=image", "seeds=9999999999999"], "seeds=9999999999999 is too large; expected 0 to 4294967295", nothing),
        (["mode=image", "seeds=1-2-3"], "seeds= is not a list of seeds.*got 1-2-3", nothing),
        (["mode=image", "seeds=0x1"], "seeds= is not a list of seeds", nothing),
        (["mode=image", "seeds=5-2"], "seeds=5-2 is an empty range; expected 2-5", nothing),
        (["mode=image", "seeds=4294967296"], "seeds=4294967296 is too large; expected 0 to 4294967295", nothing),
        (["mode=image", "seeds=0-999999"], "seeds= has too many seeds; expected at most 100000", nothing),
        (["mode=image", "seeds=nosuch"], "nosuch: no such seed file", nothing),
        (["mode=image", "1", "2", "out=x.png"], "out=x.png is one file, and there are 2 seeds", nothing),
        (["mode=image", "1", "2", "out=no/where"], "there is no directory no", nothing),
        (["mode=image", "1", "2", "out=1.bin"], "out=1.bin is a file; expected a directory", nothing),
        (["mode=image", "0-6", "grid=3x2"], "grid=3x2 has too few places; expected at most 6 seeds; got 7", nothing),
        (["mode=image", "1", "grid=3"], "grid= is not a size; expected columns x rows, such as grid=5x3", nothing),
        (["mode=image", "1", "grid=0x3"], "grid= is not a size", nothing),
        (["mode=mix", "1", "2", "grid=2x1"], "grid= belongs to mode=image and mode=film, not to mode=mix", nothing),
        (["mode=mix", "1", "2", "weight=2"], "weight= is out of range; expected 0 to 1; got 2", nothing),
        (["mode=a2b", "1", "2", "styles=0"], "styles= of a video is about.*expected mix=; got no mix=", nothing),
        (["mode=a2b", "1", "2", "mix=1,2"], "mix= is not one seed; expected such as mix=458 or mix=w_avg", nothing),
        (["mode=a2b", "1", "2", "loop=yes"], "loop= is none of its words; expected true or false; got yes", nothing),
        (["mode=a2b", "1", "2", "ease=soft"], "ease= is none of its words; expected linear or cubic", nothing),
        (["mode=a2b", "1", "2", "out=x.gif", "fps=60"], "fps= is too large for a GIF; expected 1 to 50", nothing),
        (["mode=a2b", "1", "2", "out=x.avi"], "expected .mp4 .mkv .mov .webm .gif; got .avi", nothing),
        (["mode=info"], "mode=info has no picture", nothing),
        (["mode=info", "nosuch.png"], "nosuch.png: no such picture", nothing),
        (["mode=info", "1.bin"], "1.bin: not a picture", nothing),
        (["mode=info", "1.bin", "trunc=1"], "trunc= belongs to the modes that make pictures, not", nothing),
        (["mode=image", "1.bin", "colour=red"], "unknown key colour=", nothing),
        (["mode=image", "1.bin", "trun=1"], "Did you mean trunc=", nothing),
        (["mode=image", "1.bin", "trunc=1", "trunc=1"], "trunc= is given twice", nothing),
        (["mode=image", "1.bin", "trunc="], "trunc= has no value", nothing),
        (["mode=image", "1.bin", "trunc=much"], "trunc= is not a number", nothing),
        (["mode=image", "1.bin", "trunc=nan"], "trunc= is not a number", nothing),
        (["mode=image", "1.bin", "trunc=1e39"], "trunc= is not a number that float32 can hold.*got 1e39", nothing),
        (["mode=image", "1.bin", "rotate=far"], "rotate= is not a number; expected such as rotate=20", nothing),
        (["mode=image", "1.bin", "rotate=inf"], "rotate= is not a number; expected such as rotate=20", nothing),
        (["mode=image", "1.bin", "rotate=1_0"], "rotate= is not a number", nothing),
        (["mode=image", "1.bin", "rotate=1e7"], "rotate is out of range; expected -1000000 to 1000000", nothing),
        (["mode=image", "1.bin", "translate=3e38,0"], "translate is out of range; expected -1000 to 1000", nothing),
        (["mode=image", "1.bin", "translate=1"], "translate= is not two numbers; expected such as translate", nothing),
        (["mode=image", "1.bin", "translate=1,x"], "translate= is not a number.*got x", nothing),
        (["mode=image", "1.bin", "rotate=5"], "'transform', which tiny.json has not.*--transform-input", nothing),
        (["mode=image", "1.bin", "--verbose"], "unknown option --verbose", nothing),
        (["mode=image", "1.bin", "threads=0"], "threads= is not a fitting number; expected a whole number, 1", nothing),
        (["mode=image", "1.bin", "threads=two"], "threads= is not a fitting number", nothing),
        (["mode=image", "1.bin", "class=1"], "the model has no labels", nothing),
        (["mode=image", "1.bin", "styles=0"], "styles= belongs to mode=mix and mode=grid and mode=a2b, not", nothing),
        (["mode=mix", "1.bin", "2.bin", "frames=2"], "frames= belongs to mode=a2b", nothing),
        (["mode=mix", "1.bin", "2.bin", "styles=0-3"], "styles= is out of range; expected 0 to 2; got 3", nothing),
        (["mode=mix", "1.bin", "2.bin", "styles=2-1"], "styles= is not a list", nothing),
        (["mode=mix", "1.bin", "2.bin", "styles=a"], "styles= is not a list", nothing),
        (["mode=mix", "1.bin", "2.bin", "styles=0,,1"], "styles= is not a list", nothing),
        (["mode=a2b", "1.bin", "2.bin", "frames=0"], "frames= is not a fitting number", nothing),
        (["mode=a2b", "1.bin", "2.bin", "fps=-1"], "fps= is not a fitting number", nothing),
        (["mode=a2b", "1.bin", "2.bin", "fps=29.9701"], "expected 1 to 1000 with at most 3 decimals", nothing),
        (["mode=a2b", "1.bin", "2.bin", "fps=1001"], "fps= is not a fitting number", nothing),
        (["mode=a2b", "1.bin", "2.bin", "out=x.png"], "expected .mp4 .mkv .mov .webm .gif; got .png", nothing),
        (["mode=image", "1.bin", "out=x.xyz"], "unknown kind of file", nothing),
        (["mode=image", "1.bin", "out=x"], "got no suffix", nothing),
        (["mode=image", "1.bin", "out=no/where/x.png"], "there is no directory", nothing),
        (["mode=image", "1.bin", "out=/proc/x.png"], "cannot be written", nothing),
        (["mode=image", "nosuch.bin"], "nosuch.bin: no such seed file", nothing),
        (["mode=image", "."], "cannot be read", nothing),
        (["mode=image", "1.bin"], r"expected 28 bytes .* got 20 bytes", damage("1.bin", lambda b: b[:20])),
        (["mode=image", "1.bin"], r"wrong length.* got 32 bytes", damage("1.bin", lambda b: b + b"1234")),
        (["mode=image", "1.bin"], "not a seed file", damage("1.bin", lambda b: b"\1" + b[1:])),
        (["mode=image", "1.bin"], "NaN", damage("1.bin", lambda b: b[:24] + struct.pack("<f", float("nan")))),
        (["mode=image", "1.bin", "model=other"], "other.json: no such model; expected NAME", nothing),
        (["mode=image", "1.bin", "model=tiny_synthesis.param"], "got tiny_synthesis.param", nothing),
        (["mode=image", "1.bin"], r"got 1 byte$", damage("1.bin", lambda b: b[:1])),
        (["mode=image", "1.bin"], "there is no model in", lambda: Path("tiny.json").unlink()),
        (["mode=image", "1.bin"], "layer draw.*too short", damage("tiny_synthesis.bin", lambda b: b[:99])),
        (["mode=image", "1.bin"], "truncated", damage("tiny_synthesis.param", lambda b: b[:100])),
        (["mode=image", "1.bin"], "unknown layer", damage("tiny_mapping.param", lambda b: b.replace(b"Le", b"De"))),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_mistakes(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str, prepare: Callable[[], None]
) -> None:
    prepare()
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    message = [line for line in err.splitlines() if not line.startswith("model: ")]
    assert len(message) == 1 and message[0].startswith("error: "), err
    assert re.search(says, message[0]), message[0]
    assert out == "" and {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before
