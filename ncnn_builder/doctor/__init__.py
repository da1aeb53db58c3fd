"""The doctor: is an export equal to its forward(), and if not, where, why, and what cures it.

    from ncnn_builder.doctor import case_of, diagnose
    from runtime import Net

    def test_export():
        diagnose(case_of(make(), {"x": x}), Net).check()

`python -m ncnn_builder doctor --model mypkg.net:make --inputs inputs.npz` is the same for the terminal.
"""

from .case import Case, case_of
from .causes import Cause
from .cure import Cure, MaskedLayer
from .diagnose import Diagnosis, ModuleResult, diagnose
from .load_model import load_case, read_arrays
from .options import Options

__all__ = [
    "Case",
    "Cause",
    "Cure",
    "Diagnosis",
    "MaskedLayer",
    "ModuleResult",
    "Options",
    "case_of",
    "diagnose",
    "load_case",
    "read_arrays",
]
