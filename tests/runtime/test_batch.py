"""python -m runtime.batch: what it makes, that a shard is whole or not there, and what --verify finds."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from batch_support import claimed, files, goes_on, made_here, order_of
from runtime_nets import write_bundle

from runtime.batch import main
from runtime.batching.maker import Maker
from runtime.batching.numbers import read_numbers
from runtime.recipe import read_recipe
from runtime.run import main as run

SMALL = ("seeds=3-8", "shard=2", "out=p")


def verified(capsys: pytest.CaptureFixture[str], out: str = "p") -> list[str]:
    """The faults that --verify finds."""
    capsys.readouterr()
    status = main(["--verify", f"out={out}", "-q"])
    said = capsys.readouterr().out.splitlines()
    assert status == (1 if len(said) > 1 else 0), said
    if status:
        assert said[0] == ("1 fault:" if len(said) == 3 else f"{len(said) - 2} faults:")
        assert said[-1].startswith("To have a shard made again, delete its")
    else:
        assert "each is there once" in said[0]
    return said[1:-1]


def test_a_job(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model=tiny", *SMALL, "workers=1"]) == 0
    assert capsys.readouterr() == ("p\n", "")
    there = files("p")
    pictures = {f"0000{i}/seed{seed:04d}.png" for i in range(3) for seed in (3 + 2 * i, 4 + 2 * i)}
    assert set(there) == pictures | {f"_batch/{name}.json" for name in ("00000", "00001", "00002", "job")}
    assert verified(capsys) == []
    assert main(["model=tiny.json", *SMALL, "workers=3"]) == 0  # all is there: nothing is written again
    assert capsys.readouterr() == ("p\n", "6 of 6 pictures are there already\n")
    assert files("p") == there


@pytest.mark.parametrize(
    "options", [[], ["trunc=0.5", "cutoff=2"], ["mix=1.bin", "styles=0,2", "weight=0.5"], ["mix=9"]]
)
def test_a_picture_is_that_of_run(place: Path, options: list[str]) -> None:
    """Byte for byte, and by the command that it carries."""
    made_here(*SMALL, *options)
    written = Path("p/00001/seed0006.png").read_bytes()
    mix = [option.partition("=")[2] for option in options if option.startswith("mix=")]
    plain = [option for option in options if not option.startswith("mix=")]
    assert run([f"mode={'mix' if mix else 'image'}", "model=tiny", "6", *mix, *plain, "out=one.png"]) == 0
    assert Path("one.png").read_bytes() == written
    command = shlex.split(read_recipe("p/00001/seed0006.png")["command"])
    assert run([*command[3:], "out=again.png"]) == 0
    assert Path("again.png").read_bytes() == written


def test_styles_that_are_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    moved = ("model=faces", "move=0:2.5,3:-1", "move_styles=0-2", "-q")
    assert main(["seeds=6-7", "out=p", "workers=1", *moved]) == 0
    assert run(["mode=image", "6", *moved, "out=one.png"]) == 0
    assert Path("one.png").read_bytes() == Path("p/00000/seed0006.png").read_bytes()


def test_random_noise_counts_on_through_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path, noise="input")
    monkeypatch.chdir(tmp_path)
    made_here(*SMALL, "noise=random", "noise_seed=5")
    assert run(["mode=image", "seeds=3-8", "noise=random", "noise_seed=5", "model=tiny", "out=all/"]) == 0
    for name in (f"seed{seed:04d}.png" for seed in range(3, 9)):
        (path,) = Path("p").rglob(name)
        assert path.read_bytes() == Path("all", name).read_bytes()


def test_the_label(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    write_bundle(tmp_path, c_dim=2)
    monkeypatch.chdir(tmp_path)
    assert main(["model=tiny", *SMALL]) == 2
    assert "the model has labels; expected class=0 to class=1; got no class=" in capsys.readouterr().err
    assert not Path("p").exists()
    made_here(*SMALL, "class=1")
    assert run(["mode=image", "3", "class=1", "model=tiny", "out=one.png"]) == 0
    assert Path("one.png").read_bytes() == Path("p/00000/seed0003.png").read_bytes()


def test_webp(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_here(*SMALL, "format=webp")
    assert run(["mode=image", "3", "model=tiny", "out=one.webp"]) == 0
    assert Path("one.webp").read_bytes() == Path("p/00000/seed0003.webp").read_bytes()
    assert verified(capsys) == []


def test_what_a_shard_says(place: Path) -> None:
    order = made_here(*SMALL, "trunc=0.5", "mix=w_avg")
    said = json.loads(Path("p/_batch/00001.json").read_text())
    assert said["seeds"] == "5-6" and set(said["sha256"]) == {"5", "6"} and said["key"] == order.job.key
    assert said["model_sha256"] == order.job.model_sha256
    assert said["recipe"]["trunc"] == "0.5" and said["recipe"]["mix"] == "w_avg"


@pytest.mark.parametrize(
    ("text", "same", "count", "cut"),
    [
        ("0-9", "0-9", 10, "4-6"),
        ("7", "7", 1, ""),
        ("0-3,4,5-9", "0-9", 10, "4-6"),
        ("8,0-4,9", "8,0-4,9", 7, "3-4,9"),
        ("4294967295", "4294967295", 1, ""),
    ],
)
def test_seeds(text: str, same: str, count: int, cut: str) -> None:
    numbers = read_numbers("seeds", text)
    assert str(numbers) == same and len(numbers) == count and str(numbers.cut(4, 3)) == cut


def test_shards_are_a_sixteenth_of_all_and_at_most_a_thousand(place: Path) -> None:
    for seeds, shard, count in (("0-999999", 1000, 1000), ("0-99", 7, 15), ("0", 1, 1)):
        job = order_of(f"seeds={seeds}", f"out=p{count}").job
        assert (job.shard, len(job.shards)) == (shard, count)
        assert sum(len(job.seeds_of(i)) for i in job.shards) == len(job.seeds) == job.count(job.shards)


# --- whole or not at all


class PowerCut(BaseException):
    pass


STEPS = [(os, "fsync"), (os, "open"), (Path, "open"), (Path, "replace"), (Path, "write_bytes"), (Path, "mkdir")]


def stop_after(patch: pytest.MonkeyPatch, count: int) -> None:
    """A process that is killed after so many steps on the disk, and tidies nothing up."""
    left = count

    def limited(real: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **options: object) -> object:
            nonlocal left
            if left == 0:
                raise PowerCut
            left -= 1
            return real(*args, **options)

        return step

    for owner, name in STEPS:
        patch.setattr(owner, name, limited(getattr(owner, name)))
    patch.setattr(shutil, "rmtree", lambda *args, **options: None)
    patch.setattr(Path, "unlink", lambda *args, **options: None)


def test_a_shard_is_whole_or_not_there_wherever_it_is_stopped(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = ("seeds=3-4", "shard=2", "out=p")
    order = made_here(*job)
    want, maker = files("p"), Maker(order)
    for steps in itertools.count():
        shutil.rmtree("p")
        claimed(order)
        with monkeypatch.context() as patch:
            stop_after(patch, steps)
            try:
                maker.make(0, lambda count: None)
                break
            except PowerCut:
                pass
        if faults := verified(capsys):
            assert faults[0] == "shard 00000 (seeds 3-4): it is missing"
            goes_on(order)
        assert verified(capsys) == [] and files("p") == want
    assert files("p") == want and steps > 15


def test_what_was_left_half_written_goes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made_here(*SMALL, shards=[0])
    for name in (".00001-0123abcd.unfinished", "00002"):
        Path("p", name).mkdir()
        Path("p", name, "seed0007.png").write_bytes(b"half")
    Path("p/_batch/.00001-0123abcd.json").write_text("{")
    assert len(verified(capsys)) == 2
    assert main(["model=tiny", *SMALL, "workers=1", "-q"]) == 0
    assert verified(capsys) == [] and not [name for name in files("p") if "/." in f"/{name}"]


# --- the same command, and others


@pytest.mark.parametrize(
    "other",
    [
        ["seeds=3-9", "shard=2"],
        ["seeds=3-8", "shard=3"],
        ["seeds=3-8", "shard=2", "format=webp"],
        ["seeds=3-8", "shard=2", "trunc=0.5"],
        ["seeds=3-8", "shard=2", "mix=1.bin"],
    ],
)
def test_another_job_is_refused(place: Path, other: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    made_here(*SMALL, shards=[0])
    before = files("p")
    assert main(["model=tiny", *other, "out=p", "-q"]) == 2
    assert "error: out=p holds pictures of another model or of other seeds, or" in capsys.readouterr().err
    assert files("p") == before
    shutil.rmtree("p")
    order_of(*SMALL)  # of which no shard was made: nothing is lost
    made_here(*other, "out=p")


def test_another_model_is_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = made_here(*SMALL, shards=[0])
    write_bundle(place, height=7)
    assert main(["model=tiny", *SMALL, "-q"]) == 2
    assert "holds pictures of another model" in capsys.readouterr().err
    with pytest.raises(Exception, match="the model has changed since the job was begun"):
        Maker(order)


def test_the_same_model_under_another_name_goes_on(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the name that the first command gave it: the pictures carry one recipe."""
    made_here(*SMALL, shards=[0])
    assert main([f"model={place}/tiny.json", *SMALL, "workers=1", "-q"]) == 0
    assert verified(capsys) == []
    assert read_recipe("p/00002/seed0008.png")["model"] == "tiny"


# --- what --verify finds


def change(name: str, edit: Callable[[bytes], bytes]) -> Callable[[], object]:
    return lambda: Path("p", name).write_bytes(edit(Path("p", name).read_bytes()))


def in_index(edit: Callable[[dict[str, object]], object]) -> Callable[[], object]:
    def apply() -> None:
        path = Path("p/_batch/00001.json")
        said = json.loads(path.read_text())
        edit(said)
        path.write_text(json.dumps(said))

    return apply


@pytest.mark.parametrize(
    ("damage", "finds"),
    [
        (
            change("00001/seed0005.png", lambda data: data[:-1]),
            "00001/seed0005.png: its SHA-256 is not the one that was",
        ),
        (lambda: Path("p/00001/seed0005.png").unlink(), "00001: picture seed0005.png is missing"),
        (lambda: shutil.rmtree("p/00001"), "00001: picture seed0005.png is missing"),
        (lambda: shutil.copy("p/00000/seed0003.png", "p/00001"), "00001: picture seed0003.png does not belong there"),
        (lambda: shutil.copytree("p/00000", "p/00003"), "00003: it is of no shard"),
        (lambda: Path("p/more.png").write_bytes(b""), "more.png: it is of no shard"),
        (lambda: Path("p/_batch/00001.json").unlink(), "shard 00001 (seeds 5-6): it is missing"),
        (lambda: shutil.copy("p/_batch/00001.json", "p/_batch/00009.json"), "_batch/00009.json: it is of no shard"),
        (lambda: shutil.copy("p/_batch/00000.json", "p/_batch/00001.json"), "_batch/00001.json: seed 5 is missing"),
        (change("_batch/00001.json", lambda data: data[:99]), "_batch/00001.json: it is damaged; reason: "),
        (in_index(lambda said: said.update(kind="x")), "_batch/00001.json: it is damaged; reason: it is no"),
        (in_index(lambda said: said.update(key="x")), "_batch/00001.json: it is of another job"),
        (in_index(lambda said: said.update(sha256={"5": "0"})), "_batch/00001.json: seed 6 is missing"),
        (in_index(lambda said: said["sha256"].update({"3": "0"})), "_batch/00001.json: seed 3 does not belong there"),
        (in_index(lambda said: said["sha256"].update({"5": ""})), "00001/seed0005.png: its SHA-256 is not the one"),
        (in_index(lambda said: said["sha256"].update({"5": None})), "00001/seed0005.png: its SHA-256 is not the one"),
        (in_index(lambda said: said.update(sha256=5)), "_batch/00001.json: it is damaged"),
    ],
)
def test_verify_finds(
    place: Path, capsys: pytest.CaptureFixture[str], damage: Callable[[], object], finds: str
) -> None:
    made_here(*SMALL)
    assert verified(capsys) == []
    damage()
    assert any(line.startswith(finds) for line in verified(capsys))


@pytest.mark.parametrize(
    "damage", [lambda: shutil.rmtree("p/00001"), lambda: Path("p/_batch/00001.json").unlink()], ids=["shard", "index"]
)
def test_what_was_deleted_is_made_again(place: Path, damage: Callable[[], object]) -> None:
    """That of a damaged shard is how --verify says that it is mended."""
    order = made_here(*SMALL)
    want = files("p")
    damage()
    goes_on(order)
    assert files("p") == want


def test_verify_of_no_job(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--verify", "out=p"]) == 2
    assert capsys.readouterr().err == (
        "error: out=p holds no pictures of this command; expected a place with _batch/job.json\n"
    )
    made_here(*SMALL)
    for text in ("{", "[]", '{"kind": "ncnn-builder-batch", "version": 1}', '{"kind": "ncnn-builder-batch"}'):
        Path("p/_batch/job.json").write_text(text)
        assert main(["--verify", "out=p"]) == 2 and main(["model=tiny", *SMALL]) == 2
        assert capsys.readouterr().err.count("error: _batch/job.json: the note of out=p is damaged") == 2


# --- mistakes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "there is no out=; expected out=PLACE"),
        (["out=p"], "there is no seeds="),
        (["seeds=0-5", "out=p", "5"], "5 is no key=value"),
        (["seeds=0-5", "out=p", "--all"], "unknown option --all"),
        (["seeds=0-5", "out=p", "worker=2"], "unknown key worker=.*Did you mean workers="),
        (["seeds=0-5", "out=p", "grid=2x2"], "unknown key grid="),
        (["seeds=0-5", "out=p", "isolate=false"], "unknown key isolate="),
        (["seeds=0-5", "seeds=6", "out=p"], "seeds= is given twice"),
        (["seeds=1.bin", "out=p"], "seeds= is not a list of numbers; expected numbers and ranges.*got 1.bin"),
        (["seeds=w_avg", "out=p"], "seeds= is not a list of numbers"),
        (["seeds=0-5,,7", "out=p"], "seeds= is not a list of numbers"),
        (["seeds=5-2", "out=p"], "seeds=5-2 is an empty range; expected 2-5"),
        (["seeds=0-4294967296", "out=p"], "seeds=0-4294967296 is too large"),
        (["seeds=0-5,9,3-4", "out=p"], "seeds= has a seed twice; expected each once; got 3"),
        (
            ["seeds=0-5", "out=p", "format=jpg"],
            "format= is none of its words; expected png or webp or webdataset or parquet",
        ),
        (["seeds=0-5", "out=p", "shard=0"], "shard= is not a fitting number"),
        (["seeds=0-4294967295", "out=p"], "there are too many shards; expected shard=4295 or more; got shard=1000"),
        (["seeds=-5-2", "out=p"], "seeds= is not a list of numbers"),
        (["seeds=0-5", "out=p", "workers=0"], "workers= is not a fitting number"),
        (["seeds=0-5", "out=p", "trunc=much"], "trunc= is not a number"),
        (["seeds=0-5", "out=p", "cutoff=4"], "cutoff= is out of range; expected 0 to 3; got 4"),
        (["seeds=0-5", "out=p", "styles=0"], "styles= is about the seed that is mixed in; expected mix=; got no mix="),
        (["seeds=0-5", "out=p", "mix=1", "styles=3"], "styles= is out of range"),
        (["seeds=0-5", "out=p", "mix=1,2"], "mix= is not one seed"),
        (["seeds=0-5", "out=p", "mix=nosuch.bin"], "nosuch.bin: no such seed file"),
        (["seeds=0-5", "out=p", "move_styles=1"], "move_styles= is about move=; expected move=; got no move="),
        (["seeds=0-5", "out=p", "move=0:1"], "does not say which blobs its affine layers make"),
        (["seeds=0-5", "out=p", "class=1"], "class= is given, but the model has no labels"),
        (["seeds=0-5", "out=p", "noise=random"], "noise=random is not in this model"),
        (["seeds=0-5", "out=p", "rotate=20"], "rotate=, translate= and zoom= need the input 'transform'"),
        (["seeds=0-5", "out=p", "model=nosuch"], "nosuch.json: no such model"),
        (["seeds=0-5", "out=1.bin"], "out=1.bin is a file; expected a directory"),
        (["seeds=0-5", "out=no/where"], "there is no directory no"),
        (["seeds=0-5", "out=."], "out=. holds other files; expected an empty or a new out="),
        (["--verify"], "there is no out="),
        (["--verify", "out=p", "seeds=0-5"], "seeds= has no meaning with --verify"),
    ],
)
def test_mistakes(place: Path, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(".")
    assert main([*arguments, "-q"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and re.fullmatch(f"error: .*{says}.*\n", err), err
    assert files(".") == before and not Path("p").exists()


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {key}=" in out for key in ("seeds", "out", "format", "shard", "trunc", "mix", "workers", "class"))
