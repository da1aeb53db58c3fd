"""Run in a process of its own, `python -I wheel_ops_runner.py FOLDER`: plain ncnn from PyPI and numpy.

FOLDER holds NUMBER.param, NUMBER.bin and NUMBER.npz with the inputs as in:NAME and the names of the outputs; beside
them NUMBER.out.npz is written.
"""

import sys
from pathlib import Path

import ncnn
import numpy as np


def run(job: Path) -> dict[str, np.ndarray]:
    net = ncnn.Net()
    net.opt.num_threads = 2
    for half in ("packed", "storage", "arithmetic"):  # on by default
        setattr(net.opt, f"use_fp16_{half}", False)
    assert net.load_param(str(job.with_suffix(".param"))) == 0, f"{job.stem}: load_param failed"
    assert net.load_model(str(job.with_suffix(".bin"))) == 0, f"{job.stem}: load_model failed"
    data = dict(np.load(job))
    names = [str(n) for n in data.pop("outputs")]
    # What an extractor gives goes with it, and a Mat of an array does not own its memory.
    extractor = net.create_extractor()
    for name, array in data.items():
        assert extractor.input(name.removeprefix("in:"), ncnn.Mat(array).clone()) == 0, name
    results = {}
    for name in names:
        code, blob = extractor.extract(name)
        assert code == 0, f"{job.stem}: extract({name}) returned {code}"
        results[name] = np.array(blob).copy()
    return results


if __name__ == "__main__":
    for path in sorted(Path(sys.argv[1]).glob("*.npz")):
        np.savez(path.with_suffix(".out.npz"), **run(path))
    ours = sorted(n for n in sys.modules if n.split(".")[0] in ("ncnn_builder", "runtime", "stylegan", "torch"))
    assert not ours, f"not plain ncnn: {ours}"
