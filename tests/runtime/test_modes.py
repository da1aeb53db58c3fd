"""python -m runtime.run: what each mode makes, against Model; the chunks of its pictures, and the same again."""

from __future__ import annotations

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from runtime_nets import latent, pixels, write_bundle, write_seed

from runtime import InputError, Model
from runtime.arguments import parse
from runtime.at_once import in_order, share_threads
from runtime.films.journey import Journey
from runtime.run import main
from runtime.seeds import parse_seeds


def w_of(seed: int) -> np.ndarray:
    return Model("tiny").mapping(np.random.RandomState(seed).randn(1, 6)[0])


def test_a_number_is_its_seed_file(place: Path) -> None:
    assert main(["mode=image", "seeds=2", "out=a.png"]) == 0
    assert main(["mode=image", "2.bin", "out=b.png"]) == 0
    assert main(["mode=image", "2", "out=c.png"]) == 0
    np.testing.assert_array_equal(pixels("a.png"), Model("tiny").image(w_of(2)))
    assert (pixels("a.png") == pixels("b.png")).all() and (pixels("a.png") == pixels("c.png")).all()


def test_many_seeds_make_a_file_each(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save("w.npy", w_of(9))
    assert main(["mode=image", "seeds=85,1-3,2.bin,w.npy,w_avg,85", "-q"]) == 0
    assert capsys.readouterr() == ("images\n", "")
    model = Model("tiny")
    want = {
        **{f"seed{i:04d}": w_of(i) for i in (85, 1, 2, 3)},
        **{"2": model.mapping(latent(2)), "w": w_of(9), "w_avg": model.w_avg, "seed0085-2": w_of(85)},
    }
    assert {path.stem for path in Path("images").iterdir()} == set(want)
    for name, w in want.items():
        np.testing.assert_array_equal(pixels(f"images/{name}.png"), model.image(w), err_msg=name)


@pytest.mark.parametrize(("out", "path"), [("pics/", "pics/seed0007.png"), ("there", "there/seed0007.png")])
def test_one_seed_into_a_directory(place: Path, out: str, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("there").mkdir()
    assert main(["mode=image", "7", f"out={out}"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    np.testing.assert_array_equal(pixels(path), Model("tiny").image(w_of(7)))


def test_a_table_of_seeds(place: Path) -> None:
    assert main(["mode=image", "seeds=0-4", "grid=3x2"]) == 0
    table = pixels("grid.png")
    assert table.shape == (2 * 5, 3 * 6, 3)
    for i in range(5):
        row, column = divmod(i, 3)
        got = table[row * 5 : row * 5 + 5, column * 6 : column * 6 + 6]
        np.testing.assert_array_equal(got, Model("tiny").image(w_of(i)))
    assert not table[5:, 12:].any()


def test_products_in_16_bits(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the processor has them; the picture says so. Elsewhere an error, and not a picture of full precision."""
    made: list[dict[str, bool]] = []
    load = Model._load
    monkeypatch.setattr(Model, "_load", lambda self, *a: made.append(a[-1]) or load(self, *a))
    cases = {
        "fp16": ("half_precision", "this processor does not compute in half precision"),
        "bf16": ("bf16_products", "this processor does not multiply in bfloat16"),
    }
    for key, (asked, message) in cases.items():
        monkeypatch.setattr(f"runtime.renderer.{asked}", lambda: True)
        made.clear()
        assert main(["mode=image", "7", f"{key}=true", f"out={key}.png", "isolate=false"]) == 0
        assert len(made) == 2
        for options in made:
            assert [name for name, on in options.items() if on] == [f"{key}_arithmetic"]
        assert main(["mode=info", f"{key}.png"]) == 0 and f" {key}=true" in capsys.readouterr().out
        monkeypatch.setattr(f"runtime.renderer.{asked}", lambda: False)
        assert main(["mode=image", "7", f"{key}=true", "out=b.png"]) == 2
        assert f"error: {key}=true: {message}; " in capsys.readouterr().err
        assert not Path("b.png").exists()


@pytest.mark.parametrize("options", [[], ["styles=0,2"], ["styles=1", "weight=0.25"], ["trunc=0.5", "cutoff=2"]])
def test_the_mixing_table(place: Path, options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model, calls = Model("tiny"), []
    original = Model.mapping
    with monkeypatch.context() as watch:
        watch.setattr(Model, "mapping", lambda self, *a, **k: calls.append(a) or original(self, *a, **k))
        assert main(["mode=grid", "rows=1,2", "cols=5,1,w_avg", *options]) == 0
    assert len(calls) == 3, "w is computed once for each seed"
    request = parse(["mode=grid", "rows=1", "cols=1", *options])
    mixing = [request.weight * (i in request.chosen_styles(3)) for i in range(3)]
    trunc, cutoff = request.trunc, request.cutoff
    table = pixels("grid.png")
    assert table.shape == (3 * 5, 4 * 6, 3) and not table[:5, :6].any()
    rows = [model.truncate(w_of(i), trunc, cutoff) for i in (1, 2)]
    cols = [model.truncate(w, trunc, cutoff) for w in (w_of(5), w_of(1), model.w_avg)]
    for row in range(3):
        for column in range(4):
            if row == column == 0:
                continue
            if row == 0 or column == 0:
                want = model.image(cols[column - 1] if row == 0 else rows[row - 1])
            else:
                want = model.image(rows[row - 1], cols[column - 1], mixing)
            got = table[row * 5 : row * 5 + 5, column * 6 : column * 6 + 6]
            np.testing.assert_array_equal(got, want, err_msg=f"{row}, {column}")


def test_w_avg(place: Path) -> None:
    assert main(["mode=w_avg"]) == 0
    model = Model("tiny")
    np.testing.assert_array_equal(pixels("w_avg.png"), model.image(model.w_avg))
    assert main(["mode=mix", "1", "w_avg", "styles=0"]) == 0
    np.testing.assert_array_equal(pixels("mix.png"), model.image(w_of(1), model.w_avg, [1, 0, 0]))


def test_w_avg_needs_no_label_and_the_classes_of_seeds_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path, c_dim=2)
    monkeypatch.chdir(tmp_path)
    model = Model("tiny")
    assert main(["mode=w_avg"]) == 0
    assert main(["mode=grid", "rows=1", "cols=w_avg"]) == 2
    assert main(["mode=grid", "rows=1", "cols=w_avg", "class=1", "styles=2"]) == 0
    w = model.mapping(latent(1).astype(np.float32), c=[0, 1])
    np.testing.assert_array_equal(pixels("grid.png")[5:, 6:], model.image(w, model.w_avg, [0, 0, 1]))


# --- what a picture says of itself

COMMANDS = [
    ["mode=image", "seeds=5", "trunc=0.5"],
    ["mode=image", "2.bin"],
    ["mode=image", "other.bin", "cutoff=1", "trunc=0.3"],
    ["mode=image", "seeds=4-6", "grid=2x2"],
    ["mode=w_avg"],
    ["mode=mix", "1.bin", "a,b.npy", "styles=0,2", "weight=0.5"],
    ["mode=grid", "rows=1,2", "cols=3-4", "styles=1"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: " ".join(c))
def test_the_command_makes_the_picture_again(
    place: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    np.save("a,b.npy", w_of(9))
    write_seed(place / "other.bin", latent(77))
    write_seed(place / "2.bin", np.random.RandomState(2).randn(1, 6)[0])
    assert main([*command, "out=first.png"]) == 0
    capsys.readouterr()
    assert main(["mode=info", "first.png"]) == 0
    out, err = capsys.readouterr()
    fields = dict(line.split(None, 1) for line in out.splitlines() if not line.startswith("model sha256"))
    assert err == "" and fields["mode"] == command[0][5:] and fields["model"] == "tiny" and "note" not in fields
    again = shlex.split(fields["command"])
    assert again[:3] == ["python", "-m", "runtime.run"]
    if command[1:2] == ["2.bin"]:
        assert "seeds=2" in again, "a seed file with the latent of its number is that number"
        Path("2.bin").unlink()
    assert main([*again[3:], "out=again.png"]) == 0
    np.testing.assert_array_equal(pixels("first.png"), pixels("again.png"))


def test_each_picture_of_random_noise_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bundle(tmp_path, noise="random")
    monkeypatch.chdir(tmp_path)
    assert main(["mode=image", "seeds=1-3", "noise_seed=40", "noise_strength=2"]) == 0
    with Image.open("images/seed0003.png") as image:
        command = shlex.split(image.text["ncnn-builder command"])
    assert "noise_seed=42" in command and "seeds=3" in command and "noise_strength=2" in command
    assert main([*command[3:], "out=again.png"]) == 0
    np.testing.assert_array_equal(pixels("images/seed0003.png"), pixels("again.png"))
    model = Model("tiny")
    want = model.image(w_of(3), noise="random", noise_seed=42, noise_strength=2)
    np.testing.assert_array_equal(pixels("again.png"), want)


def test_info_says_when_the_model_is_another_one(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["mode=image", "1"])
    for path in place.glob("tiny*"):
        path.unlink()
    capsys.readouterr()
    assert main(["mode=info", "image.png"]) == 0
    assert "the model tiny is not here" in capsys.readouterr().out
    write_bundle(place, z_dim=5)
    assert main(["mode=info", "image.png"]) == 0
    assert "tiny here is another model than the picture's" in capsys.readouterr().out


def test_info_of_pictures_that_say_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (4, 4)).save("plain.png")
    foreign = PngInfo()
    foreign.add_text("Software", "another program")
    Image.new("RGB", (4, 4)).save("foreign.png", pnginfo=foreign)
    main(["mode=image", "1", "out=p.jpg"])
    main(["mode=image", "1"])
    Path("cut.png").write_bytes(Path("image.png").read_bytes()[:-60])
    capsys.readouterr()
    for name in ("plain.png", "foreign.png", "p.jpg"):
        assert main(["mode=info", name]) == 2
        assert f"error: {name}: the picture does not say how it was made" in capsys.readouterr().err
    assert main(["mode=info", "cut.png"]) == 2
    assert "error: cut.png: " in capsys.readouterr().err
    assert main(["mode=info", "image.png", "image.png"]) == 0
    assert capsys.readouterr().out.count("picture       image.png, 6 x 5") == 2


# --- seeds, paths, batches


def test_lists_of_seeds() -> None:
    texts = [seed.text for seed in parse_seeds("seeds", "85,0-2,7_8,85,a/b.bin,w.npz,w_avg")]
    assert texts == ["85", "0", "1", "2", "7", "8", "85", "a/b.bin", "w.npz", "w_avg"]
    assert [seed.text for seed in parse(["mode=image", "3", "4-5", "x,y.bin"]).seeds] == ["3", "4", "5", "x,y.bin"]
    assert [seed.text for seed in parse(["mode=image", "3,5-6"]).seeds] == ["3", "5", "6"]


@pytest.mark.parametrize("ease", ["linear", "cubic"])
@pytest.mark.parametrize("loop", [False, True])
def test_journey(ease: str, loop: bool) -> None:
    stops = [np.float32([0, 0]), np.float32([1, 2]), np.float32([4, 0])]
    journey = Journey(stops, 4, loop, ease)
    assert len(journey) == (12 if loop else 9)
    path = [journey.style(i) for i in range(len(journey))]
    for i, stop in enumerate(stops):
        np.testing.assert_array_equal(path[4 * i], stop)
    quarter = 0.25 if ease == "linear" else 3 * 0.25**2 - 2 * 0.25**3
    np.testing.assert_allclose(path[1], quarter * stops[1], atol=1e-6)
    np.testing.assert_allclose(path[6], (stops[1] + stops[2]) / 2, atol=1e-6)
    if loop:
        np.testing.assert_allclose(path[9], stops[2] + quarter * (stops[0] - stops[2]), atol=1e-6)


def test_pictures_at_the_same_time_keep_their_order() -> None:
    import threading
    import time

    running, most, taken = 0, 0, 0
    lock = threading.Lock()

    def items() -> object:
        nonlocal taken
        for i in range(20):
            taken += 1
            yield i

    def work(item: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02 if item % 2 else 0.001)
        with lock:
            running -= 1
        return item * item

    results = in_order(work, items(), 3)
    assert next(results) == 0 and taken <= 5, "no more is taken than is needed"
    assert list(results) == [i * i for i in range(1, 20)] and most == 3

    def fail(item: int) -> int:
        if item == 4:
            raise ValueError("four")
        return item

    results = in_order(fail, iter(range(10)), 2)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="four"):
        next(results)


@pytest.mark.parametrize(
    ("threads", "pictures", "resolution", "want"),
    [(2, 1, 64, (2, 1)), (2, 5, 64, (1, 2)), (8, 3, 256, (1, 3)), (2, 9, 512, (2, 1)), (16, 9, 1024, (4, 4)),
     (1, 9, 64, (1, 1)), (6, 9, 512, (6, 1)), (6, 2, 32, (1, 2))],
)  # fmt: skip
def test_threads_are_shared(threads: int, pictures: int, resolution: int, want: tuple[int, int]) -> None:
    assert share_threads(threads, pictures, resolution) == want


def test_at_the_same_time_and_one_after_the_other_are_the_same(place: Path) -> None:
    for threads in (1, 3):
        assert main(["mode=image", "seeds=0-9", "grid=5x2", f"threads={threads}", f"out={threads}.png"]) == 0
    np.testing.assert_array_equal(pixels("1.png"), pixels("3.png"))


def test_images_of_a_model(place: Path) -> None:
    model = Model("tiny", threads=1)
    ws = [w_of(i) for i in range(7)]
    want = [model.image(w) for w in ws]
    for at_once in (1, 3):
        got = list(model.images(ws, at_once=at_once))
        assert len(got) == 7 and all((a == b).all() for a, b in zip(got, want, strict=True))
    pictures = model.images([ws[0], ws[1][:2]], at_once=2)
    np.testing.assert_array_equal(next(pictures), want[0])
    with pytest.raises(InputError, match="w has the wrong shape"):
        next(pictures)
    for bad in (0, True, 1.5, "2", 9999):
        with pytest.raises(InputError, match="at_once is out of range; expected 1 to 1024"):
            model.images(ws, at_once=bad)  # type: ignore[arg-type]
