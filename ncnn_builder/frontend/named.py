"""torch's functions by the names that people look for, of Values: nb.roll(g, x, 1, -1), x.mean((1, 2)), x > 0.

Each is torch's own function, captured and converted as it is in a module, so that there is one meaning and one way. A
Value is a tensor of its own shape, without a batch: of (C, H, W) the channels are axis 0 and the columns -1. Beside
Values they take what torch's functions take: numbers, and constants as torch.Tensor or numpy array. As methods and
operators they are the same: x.mean((1, 2)), x > 0.

The functions that the DSL had before (nb.softmax, nb.flatten, nb.split ...) keep their arguments, which count the
batch; as methods (x.softmax(0), x.flatten(1), x.split(2)) torch's are meant.
"""

from __future__ import annotations

import functools
import operator
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from ..any_size import any_size
from ..errors import BuildError
from ..ir import Graph, Value, Values
from ..opspec import located
from ..values import Operators, define_operators

_masks: weakref.WeakSet[Value] = weakref.WeakSet()
"""Values that are 0 or 1 because torch says true or false there."""

Named = Callable[..., Values]

FUNCTIONS: dict[str, Named] = {}
"""Name in nb -> the function (g, *arguments)."""
METHODS: dict[str, Named] = {}
"""Name of a method of Value, and of Values that hold one -> the function (g, x, *arguments)."""
LISTS = frozenset({"chunk", "split", "unbind"})
"""Methods that return several Values, however many these are; the others return one."""


def _named(
    path: str, *, masks: tuple[int, ...] = (), function: bool = True, method: bool = True, label: str | None = None
) -> Named:
    """torch's function at `path` (below torch) as a function (g, *arguments), and its name.

    masks: which arguments are true or false; Values that are no comparison's result are compared with 0. label: what
    errors call it, if not by its name.
    """
    name = path.rpartition(".")[2]

    def call(g: Graph, *args: Any, **kwargs: Any) -> Values:
        return _called(g, path, masks, args, kwargs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"torch.{path}() of Values and constants: axes without the batch, as frontend/named.py says."
    made = located(any_size(call), label or name)
    if function:
        FUNCTIONS[name] = made
    if method:
        METHODS[name] = made
    return made


def _called(g: Graph, path: str, masks: tuple[int, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Values:
    import torch
    from torch.utils._pytree import tree_leaves, tree_map

    from . import converters as converters  # fills the registry
    from .blobs import as_tensor, stored
    from .layout import MOST_DIMS, Tensor, tensor
    from .walk import converted_call

    def given(x: Any) -> Any:
        x = x.the_one(path) if isinstance(x, Values) else x
        if isinstance(x, Value):
            return tensor(x, x.shape, torch.bool if x in _masks else torch.float32)
        return torch.from_numpy(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) else x

    def function(*inner: Any, **named: Any) -> Any:
        def is_number(x: Any) -> bool:
            return isinstance(x, torch.Tensor) and x.dtype != torch.bool

        truths = (x != 0 if i in masks and is_number(x) else x for i, x in enumerate(inner))
        return operator.attrgetter(path)(torch)(*truths, **named)

    args, kwargs = (tree_map(given, x, is_leaf=lambda x: isinstance(x, Values)) for x in (args, kwargs))
    if not any(isinstance(x, Tensor) for x in tree_leaves((args, kwargs))):
        raise BuildError("no Value among the arguments", expected="at least one", got=args)
    made = []
    try:
        results = converted_call(g, function, args, kwargs)
    except RuntimeError as error:
        raise BuildError(f"torch.{path}() refuses this", got=str(error).split("\n")[0]) from error
    for result in results:
        t = as_tensor(g, result)
        if t.rank > MOST_DIMS:
            raise BuildError("a result of more dimensions than ncnn has", expected=MOST_DIMS, got=list(t.shape))
        value = stored(g, t, t.shape or (1,))
        if t.dtype == torch.bool:
            _masks.add(value)
        made.append(value)
    return Values(made)


# -- number by number ---------------------------------------------------------------------------------------------

relu = _named("relu")
gelu = _named("nn.functional.gelu")
silu = _named("nn.functional.silu")
sigmoid = _named("sigmoid")
tanh = _named("tanh")
leaky_relu = _named("nn.functional.leaky_relu")
elu = _named("nn.functional.elu")
softplus = _named("nn.functional.softplus")
hardswish = _named("nn.functional.hardswish")
hardsigmoid = _named("nn.functional.hardsigmoid")
mish = _named("nn.functional.mish")
cos = _named("cos")
erf = _named("erf")
floor = _named("floor")
ceil = _named("ceil")
round = _named("round")
sign = _named("sign")
reciprocal = _named("reciprocal")
pow = _named("pow")
maximum = _named("maximum")
minimum = _named("minimum")
remainder = _named("remainder")
where = _named("where", masks=(0,), method=False)
masked_fill = _named("masked_fill", masks=(1,))
logical_and = _named("logical_and", masks=(0, 1))
logical_or = _named("logical_or", masks=(0, 1))
logical_not = _named("logical_not", masks=(0,))

# -- along axes ---------------------------------------------------------------------------------------------------

mean = _named("mean")
sum = _named("sum")
prod = _named("prod")
amax = _named("amax")
amin = _named("amin")
std = _named("std")
var = _named("var")
logsumexp = _named("logsumexp")
log_softmax = _named("log_softmax")
norm = _named("norm")

# -- shapes, parts and order ---------------------------------------------------------------------------------------

cat = _named("cat", method=False)
stack = _named("stack", method=False)
chunk = _named("chunk")
transpose = _named("transpose")
movedim = _named("movedim")
roll = _named("roll")
gather = _named("gather")
index_select = _named("index_select")
narrow = _named("narrow")
select = _named("select")
unbind = _named("unbind")
repeat_interleave = _named("repeat_interleave")
tril = _named("tril")
triu = _named("triu")
bmm = _named("bmm")
max_pool2d = _named("nn.functional.max_pool2d", method=False)
avg_pool2d = _named("nn.functional.avg_pool2d", method=False)

# What the DSL has with arguments of its own, as torch's methods.
for _path in (
    *("exp", "log", "sqrt", "rsqrt", "square", "sin", "abs", "clamp", "neg"),
    *("softmax", "cumsum", "flatten", "squeeze", "unsqueeze", "split", "matmul", "diag"),
    *("nn.functional.pixel_shuffle", "nn.functional.pixel_unshuffle"),
    *("Tensor.view", "Tensor.expand", "Tensor.repeat", "Tensor.reshape", "Tensor.permute", "Tensor.flip"),
):
    _named(_path, function=False)


def _method(name: str, function: Named) -> Any:
    @functools.wraps(function)
    def method(self: Operators, *args: Any, **kwargs: Any) -> Any:
        results = function(self.graph, self, *args, **kwargs)  # type: ignore[attr-defined]
        return results if name in LISTS else results[0]

    return method


for _name, _function in METHODS.items():
    setattr(Operators, _name, _method(_name, _function))

define_operators(
    {
        name: _named(name, function=False, method=False, label=f"operator {sign}")
        for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
    }
)
