"""examples/android: what is not Android's runs in this machine's Java, and its pictures are those of runtime.run."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import runtime
from runtime.run import main as run
from stylegan.export import main as export

MAIN = Path(__file__).parents[1] / "examples" / "android" / "app" / "src" / "main"
DRIVER = """
import java.io.*;
import org.ncnnbuilder.faces.Generator;

public class Driver {
    public static void main(String[] args) throws Exception {
        try (Generator generator = new Generator(args[0], 1);
                DataOutputStream out = new DataOutputStream(new FileOutputStream("pixels"))) {
            for (int[] pixels : new int[][] {
                    generator.picture(85, 0, generator.styles(), 0.7f), generator.picture(458, 293, 3, 1f)})
                for (int pixel : pixels) out.writeInt(pixel);
            System.out.println(generator.styles());
        }
        for (String wrong : new String[] {"nothing", args[1]}) {
            try {
                new Generator(wrong, 1);
            } catch (IllegalArgumentException error) {
                System.out.println(error.getMessage());
            }
        }
    }
}
"""


def call(*words: str | Path) -> str:
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not shutil.which("javac") or not shutil.which("java"), reason="no JDK here")
def test_the_pictures_are_those_of_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cmake = shutil.which("cmake", path=str(Path(sys.executable).parent)) or "cmake"
    call(cmake, "-S", MAIN / "cpp", "-B", "build", f"-DPython_EXECUTABLE={sys.executable}")
    call(cmake, "--build", "build")
    assert export(["--cfg", "v2ada_64_faces", "--target", "stock", "--out", "faces", "--seeds", "0"]) == 0
    Path("Driver.java").write_text(DRIVER)
    call("javac", "-d", ".", MAIN / "java/org/ncnnbuilder/faces/Generator.java", "Driver.java")
    fused = str(Path(runtime.__file__).parent / "models" / "faces")
    said = call("java", "-Djava.library.path=build", "-cp", ".", "Driver", "faces", fused)
    styles, *faults = said.splitlines()
    assert styles == "10"
    assert faults == [
        f"{name}_mapping.param cannot be read, or has layers that ncnn does not: export with --target stock"
        for name in ("nothing", fused)
    ]

    assert run(["mode=image", "model=faces", "85", "trunc=0.7", "out=0.png", "-q"]) == 0
    assert run(["mode=mix", "model=faces", "458", "293", "styles=3-9", "trunc=1", "out=1.png", "-q"]) == 0
    pixels = np.fromfile("pixels", ">u4").astype(np.uint32).reshape(2, 64, 64)
    assert (pixels >> 24 == 255).all()
    for number in (0, 1):
        levels = np.stack([pixels[number] >> shift & 255 for shift in (16, 8, 0)], 2).astype(int)
        assert levels.std() > 20
        assert np.abs(levels - np.asarray(Image.open(f"{number}.png")).astype(int)).max() <= 1
