"""What must hold after building, after each pass, and before emitting."""

from __future__ import annotations

import numpy as np

from .errors import BuildError, VerifyError
from .ir import Array, Graph, Node, Value
from .opspec import registry
from .sizes import Size, is_open


def verify(graph: Graph, *, stage: str, lowered: bool = False, finite: dict[int, Array] | None = None) -> None:
    """Check the whole graph. `stage` is named in the error; lowered: no composite op may be left. finite: id -> weight,
    of weights that have been looked at before, for a caller that checks again and again; it gets those of this graph.

    Raises VerifyError for: a value used before it is made, a wrong use list, a name used twice, parameters or
    shapes that do not follow from the declaration, at every size where one is open, a parameter that is an open size,
    a weight that is not finite (of a constant: that is NaN), no output, an output or tap that is not of this graph.
    """
    if not graph.outputs:
        raise VerifyError(f"{stage}: the graph has no output", fix="Call graph.output(name, value)")
    before, finite = dict(finite or {}), {} if finite is None else finite
    finite.clear()  # what is no longer in the graph may go
    known: dict[int, Value] = {id(v): v for v in graph.inputs}
    names = {v.name for v in graph.inputs}
    uses: dict[int, list[tuple[Node, int]]] = {id(v): [] for v in graph.inputs}
    for node in graph.nodes:
        _verify_node(node, stage, lowered, before, finite)
        for position, value in enumerate(node.inputs):
            if id(value) not in known:
                raise _error(node, stage, f"input {value.name} is made by no earlier node of this graph")
            uses[id(value)].append((node, position))
        for value in node.outputs:
            if value.producer is not node:
                raise _error(node, stage, f"output {value.name} names another producer")
            if value.name in names:
                raise _error(node, stage, f"the name {value.name} is used twice")
            names.add(value.name)
            known[id(value)] = value
            uses[id(value)] = []
    for key, value in known.items():
        if value.uses != uses[key]:
            raise VerifyError(f"{stage}: the use list of {value.name} is wrong", expected=uses[key], got=value.uses)
    for name, value in graph.outputs.items():
        if any(node.spec.integer_input for node, _ in value.uses):
            raise VerifyError(f"{stage}: output {name} holds whole numbers that a layer reads", got=value)
    for kind, table in (("output", graph.outputs), ("tap", graph.taps)):
        for name, value in table.items():
            if id(value) not in known:
                raise VerifyError(f"{stage}: {kind} {name} is no value of this graph", got=value)


def same_sizes(before: Graph, after: Graph, *, stage: str) -> None:
    """Check that a step took no size for known which is open: what is there before and after it, outputs, taps and
    values by name, has the shape that it had.

    Raises VerifyError, which is for our own faults, or those of whoever wrote the step.
    """
    values = {v.name: v for v in after.values()}
    kept = [(f"output {name}", v, after.outputs.get(name)) for name, v in before.outputs.items()]
    kept += [(f"tap {path}", v, after.taps.get(path)) for path, v in before.taps.items()]
    kept += [(v.name, v, values.get(v.name)) for v in before.values() if is_open(v.shape)]
    for what, old, new in kept:
        if new is not None and old.shape and new.shape != old.shape:
            got, fix = list(new.shape), "The step takes a size for known that is open" if is_open(old.shape) else None
            raise VerifyError(f"{stage}: {what} has another shape", expected=list(old.shape), got=got, fix=fix)


def _verify_node(node: Node, stage: str, lowered: bool, before: dict[int, Array], finite: dict[int, Array]) -> None:
    spec = node.spec
    if registry.get(spec.type) is not spec and not spec.foreign:
        raise _error(node, stage, "its op is not in the registry")
    if lowered and spec.composite:
        raise _error(node, stage, "a composite op is left after lowering")
    if set(node.params) != {p.name for p in spec.params}:
        raise _error(node, stage, "parameters do not match the declaration")
    for name, value in node.params.items():
        if isinstance(value, Size) or (isinstance(value, tuple) and is_open(value)):
            raise _error(node, stage, f"parameter {name} is the open size {value}, which no file can say")
    for name, data in node.weights.items():
        if spec.foreign and data.dtype in (np.int8, np.uint8):  # uint8: several numbers in a byte
            continue
        if data.dtype != np.float32:
            raise _error(node, stage, f"weight {name} is {data.dtype}, not float32")
        if before.get(id(data)) is data:
            finite[id(data)] = data
            continue
        # One pass without a temporary: a sum is finite only if every addend is.
        with np.errstate(invalid="ignore"):  # inf - inf
            total = data.sum(dtype=np.float64)
        if not np.isfinite(total):
            # A constant may be infinite, as a mask of attention is; what is multiplied by inputs may not.
            constant = not node.inputs and not spec.custom  # a Shell's numbers are weights of what multiplies
            bad = int((np.isnan(data) if constant else ~np.isfinite(data)).sum())
            if bad:
                kinds = "NaN" if constant else "NaN or infinite"
                raise _error(node, stage, f"weight {name} holds {bad} numbers that are {kinds}")
            if constant:
                continue  # the same array may be a weight of another node
        finite[id(data)] = data
    if any(not v.shape for v in node.inputs):
        return  # of a net that was read, and does not say its shapes
    try:
        shapes = spec.infer([v.shape for v in node.inputs], node.params, node.weights)
    except BuildError as error:
        raise _error(node, stage, str(error)) from None
    if shapes != [v.shape for v in node.outputs]:
        raise _error(node, stage, f"shapes {[v.shape for v in node.outputs]} should be {shapes}")


def _error(node: Node, stage: str, what: str) -> VerifyError:
    return VerifyError(f"{stage}: {what}", op=node.spec.type, node=node.name, scope=node.scope, source=node.source)
