"""From a module to its export: its own export_ncnn(), or the registry's function for its class.

Nothing here imports torch: a class of torch.nn is known by its name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from ..builder import ValueLike, inputs_of, results_of
from ..errors import BuildError
from ..ir import Graph, Value, Values
from ..opspec import caller

Export = Callable[[Graph, Any, Values], "Value | Values"]
"""(graph, module, its inputs) -> what its forward() returns, as Values."""

_F = TypeVar("_F", bound=Export)


@dataclass(frozen=True)
class _Entry:
    function: Export
    eval_only: bool


_ENTRIES: dict[type | str, _Entry] = {}
"""A class, or the name of one of torch.nn -> how it is exported."""

_HARMLESS = {"extra_repr", "reset_parameters"}
"""Methods that a subclass may have of its own without computing something else; so is everything in underscores."""


def exports(*classes: type | str, eval_only: bool = False) -> Callable[[_F], _F]:
    """Decorator: this function exports modules of these classes, and of subclasses that compute the same.

    classes: classes, or names of classes of torch.nn. The function takes (g, module, inputs), inputs being Values, and
    returns what forward() returns: a Value, or a list of them. eval_only: in training mode the module
    computes something else, so export is refused then. A later registration for a class replaces an earlier one.

        @nb.exports(Scale)
        def scale(g, module, inputs):
            return nb.MulConstant(g, inputs, scale=module.factor)
    """

    def put(function: _F) -> _F:
        for key in classes:
            _ENTRIES[key] = _Entry(function, eval_only)
        return function

    return put


def through(kind: str, function: Callable[[Graph, Any, Any], Values]) -> None:
    """Export this class of torch.nn by a DSL function (g, inputs, module)."""
    exports(kind)(lambda g, module, inputs: function(g, inputs, module))


def child(g: Graph, parent: Any, name: str, *args: Any, **kwargs: Any) -> Values:
    """Export ``parent.<name>`` inside the scope `name`, and tap what it returns.

    Calls ``parent.<name>.export_ncnn(g, *args, **kwargs)``; a module without one, such as those of torch.nn, goes
    through export_module(), which takes its inputs only (x, or [x, y]) and captures what it does not know. It is tapped
    loosely: a convolution and the BatchNorm behind it may become one layer. An nn.ModuleList, which has no forward() to
    compare with, is walked and not tapped. name may be a path such as ``layers.0``. Returns what export_ncnn() returned
    as Values, as every function does; lists in lists, such as (y, (h, c)), become one.

    A module that is called again, under this name or another, gets the scope ``name#2``, then ``name#3``: the calls are
    compared with those of forward(), the second with the second. Where export_ncnn() calls in another order than
    forward(), or leaves a call out, the name says which one it is: ``child(g, self, "enc#2", b)``.
    """
    module = parent
    where: dict[str, Any] = {"argument": "name", "source": caller(), "scope": g.current_scope or None}
    called, _, number = str(name).partition("#")
    if "#" in str(name) and not re.fullmatch("[1-9][0-9]*", number):
        fix = "enc#2 is the second call of enc"
        raise BuildError("bad name of a module", got=repr(name), fix=fix, **where)
    for part in called.split("."):
        module = getattr(module, part, None)
    if module is None:
        raise BuildError("there is no such module", got=f"{type(parent).__name__}.{name}", **where)
    if _is_list(module) and not hasattr(module, "export_ncnn"):
        with g.scope(called):
            return export_module(g, module, *args, **kwargs)
    count, least = g.count_call(module, int(number) if number else None), g.least_call
    with g.scope(called if count == 1 else f"{called}#{count}"):
        own = hasattr(module, "export_ncnn")
        g.least_call = int(number) if number else least
        try:
            if own:
                result = results_of(module.export_ncnn(g, *args, **kwargs))
            else:
                result = export_module(g, module, *args, **kwargs)
        finally:
            g.least_call = least
        g.tap(*result, loose=not own)
    return result


def _is_list(module: Any) -> bool:
    return any(cls.__name__ == "ModuleList" and _of_torch(cls) for cls in type(module).__mro__)


def _of_torch(cls: type) -> bool:
    return f"{cls.__module__}.".startswith("torch.nn.")


def export_module(g: Graph, module: Any, inputs: ValueLike) -> Values:
    """What the module's forward() computes of these inputs, in eval mode, as Values without batch dimension.

    A module with export_ncnn(g, inputs) is asked; the modules of torch.nn are known; nn.Sequential is walked, and
    nn.ModuleList likewise, one module behind the other. Any other module is captured, as ncnn_builder.capture() does.
    Those in training mode raise BuildError with their path and class, as do those of torch.nn with hooks. Values:
    x [C, H, W] for torch's [1, C, H, W], [T, size] for a sequence, whatever batch_first says; recurrent layers return
    y alone, or with the states if they were given some. Scopes and taps are of the submodules; child() makes those of
    the module itself.
    """
    if hasattr(module, "export_ncnn"):
        return results_of(module.export_ncnn(g, inputs))
    entry = _entry(module)
    if entry is None:
        return _captured(g, module, inputs)
    if entry.eval_only:
        need_eval(g, module)
    hooks = [name for name in ("_forward_hooks", "_forward_pre_hooks") if getattr(module, name, None)]
    if hooks:
        raise _error(
            g,
            module,
            "the module has hooks, which may change what it computes",
            got=hooks[0].strip("_"),
            fix="Remove them, as torch.nn.utils.remove_weight_norm() and remove_spectral_norm() do",
        )
    try:
        return results_of(entry.function(g, module, Values(inputs_of(inputs))))
    except BuildError as error:
        if error.op and error.source:
            raise
        raise error.located(type(module).__name__, g.current_scope or None, caller()) from None


def _captured(g: Graph, module: Any, inputs: ValueLike) -> Values:
    """By the front end. Raises BuildError, which says which operator of its forward() it is that ncnn cannot do."""
    if not hasattr(module, "named_modules"):
        raise _error(g, module, "no way to export this", fix="Write export_ncnn(g, inputs) beside its forward()")
    from ..frontend.capture import capture_child

    return capture_child(g, module, inputs)


def _entry(module: Any) -> _Entry | None:
    """That of the nearest class in the registry, unless a class before it overrides something that computes."""
    overridden: set[str] = set()
    for cls in type(module).__mro__:
        entry = _ENTRIES.get(cls) or (_ENTRIES.get(cls.__name__) if _of_torch(cls) else None)
        if entry is not None:
            return None if any(hasattr(cls, name) for name in overridden) else entry
        overridden |= {name for name, value in vars(cls).items() if _computes(name, value)}
    return None


def _computes(name: str, value: Any) -> bool:
    dunder = name.startswith("__") and name != "__call__"
    return callable(value) and not dunder and name not in _HARMLESS


def need_eval(g: Graph, module: Any) -> None:
    """Raises BuildError for a module in training mode."""
    if module.training:
        raise _error(g, module, "the module is in training mode", fix="Call .eval() on the network before exporting it")


def _error(g: Graph, module: Any, what: str, got: str | None = None, fix: str | None = None) -> BuildError:
    cls = type(module)
    got = got or f"a {cls.__module__}.{cls.__qualname__}"
    return BuildError(what, op=cls.__name__, scope=g.current_scope or None, source=caller(), got=got, fix=fix)


@exports("Sequential", "ModuleList")
def _one_after_another(g: Graph, module: Any, inputs: Values) -> Any:
    result: Any = inputs
    for name in _names(module):
        result = child(g, module, name, result)
    return result


def _names(module: Any) -> Iterator[str]:
    return (name for name, part in module._modules.items() if part is not None)  # named_children() skips repetitions
