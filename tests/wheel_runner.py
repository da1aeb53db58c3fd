"""Run in a process of its own, `python -I wheel_runner.py JOB.npz RESULT.npz ...`: plain ncnn from PyPI and numpy.

JOB holds param and bin (paths), vulkan (0 or 1), output (blob) and the inputs as in:NAME. Exit code 3: no GPU.
"""

import sys

import ncnn
import numpy as np


def main(job_path: str, result_path: str) -> int:
    job = dict(np.load(job_path))
    vulkan = bool(job.pop("vulkan"))
    if vulkan and ncnn.get_gpu_count() == 0:
        return 3
    net = ncnn.Net()
    net.opt.use_vulkan_compute = vulkan
    net.opt.num_threads = 2
    for half in ("packed", "storage", "arithmetic"):  # on by default
        setattr(net.opt, f"use_fp16_{half}", False)
    paths = {name: str(job.pop(name)) for name in ("param", "bin", "output")}
    assert net.load_param(paths["param"]) == 0, "load_param failed"
    assert net.load_model(paths["bin"]) == 0, "load_model failed"
    extractor = net.create_extractor()
    for name, array in job.items():
        # A Mat of an array does not own its memory.
        assert extractor.input(name.removeprefix("in:"), ncnn.Mat(array).clone()) == 0, name
    code, blob = extractor.extract(paths["output"])
    assert code == 0, f"extract returned {code}"
    device = ncnn.get_gpu_info(ncnn.get_default_gpu_index()).device_name() if vulkan else "CPU"
    np.savez(result_path, output=np.array(blob), device=device)
    ours = sorted(n for n in sys.modules if n.split(".")[0] in ("ncnn_builder", "runtime", "stylegan", "torch"))
    assert not ours, f"not plain ncnn: {ours}"
    return 0


if __name__ == "__main__":
    code, pairs = 0, sys.argv[1:]
    while pairs and code == 0:
        job, result, *pairs = pairs
        code = main(job, result)
    if code == 0 and np.load(sys.argv[1])["vulkan"]:
        ncnn.destroy_gpu_instance()
    sys.exit(code)
