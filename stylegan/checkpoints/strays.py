"""Names that no table has: of which classes a file may hold objects. Nothing is called and nothing imported.

Snapshots of forks and of people who train by themselves hold all kinds of objects beside their networks: options,
paths, optimizers, whole modules. None of their classes is needed to find the tensors. So a name that no table has
makes a Stray, whatever the stream does with it. The exceptions are names that a file has for one reason only, that
whoever unpickles it runs something: what Python's own library has (but for some classes of plain values), and the
functions of torch and numpy. A file with such a name is refused whole, to warn its owner.
"""

from __future__ import annotations

import re
import sys
from typing import Any

from stylegan.checkpoints.pickle_values import Global, Refused, Stray

_LIBRARY = {*sys.stdlib_module_names, "__builtin__", "copy_reg", "nt", "posix"}
_PYTHON_2 = {"__builtin__": "builtins", "copy_reg": "copyreg"}
"""Names of modules as protocol 2 has them."""
_VALUES: dict[str, str] = {
    "argparse": "Namespace",
    "array": "array|_array_reconstructor",
    "builtins": "complex|frozenset|slice|range|list|dict|int|float|str|bool|tuple|bytes|bytearray|object",
    "collections": "[A-Z][A-Za-z]*|deque",
    "copyreg": "__newobj_ex__",
    "datetime": "[a-z]+",
    "decimal": "Decimal",
    "enum": "[A-Za-z]*Enum|[A-Za-z]*Flag",
    "fractions": "Fraction",
    "functools": "partial",
    "logging": "Logger|getLogger",
    "pathlib": "[A-Za-z]*Path",
    "pathlib._local": "[A-Za-z]*Path",
    "random": "Random",
    "re": "_compile",
    "types": "SimpleNamespace",
    "typing": "[A-Z][A-Za-z]*",
    "uuid": "UUID|SafeUUID",
    "zoneinfo": r"ZoneInfo(\._unpickle)?",
}
"""Names of Python's library, whole, by module: of plain values, and of what makes them."""
_FRAMEWORKS = {
    "torch": r"[A-Z_]\w*|device|dtype|[cq]?u?(float|int|complex|half|double|long|short|bool)\w*|bfloat16|per_\w+|"
    r"strided|sparse_\w+|\w+_format|channels_last\w*",
    "numpy": r"[A-Z_]\w*|u?int\w*|float\w*|complex\w*|bool_?|generic|number|void|datetime64|timedelta64",
}
"""Names of torch's and numpy's classes, dtypes and private functions, such as torch._utils._rebuild_sparse_tensor."""
_NAMED_FUNCTIONS = ("torch.nn.functional", "torch.nn.init", "torch._C._nn", "numpy.random")
"""Modules of functions that are given to modules, as their activation for instance, and of random numbers' states."""


def stray_name(module: str, name: str) -> Global:
    """The name of a class that is not known. Raises Refused where a file has it for the harm of its reader."""
    module = _PYTHON_2.get(module, module)
    whole = f"{module}.{name}"
    root = module.partition(".")[0]
    if root in _LIBRARY:
        good = bool(re.fullmatch(_VALUES.get(module, "(?!)"), name))
    elif root in _FRAMEWORKS:
        good = bool(re.fullmatch(_FRAMEWORKS[root], name)) or (module in _NAMED_FUNCTIONS and name.isidentifier())
    else:
        good = bool(re.fullmatch(r"[\w.<>]+", name))
    if not good:
        raise Refused(whole)

    def make(args: tuple[Any, ...]) -> Stray:
        return Stray(whole)

    return Global(whole, make, make, inert=True)
