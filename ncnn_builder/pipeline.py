"""The way from a built graph to a lowered one: the one ordered list of passes, and the reason for each place.

    built graph -> BUILT passes -> lowering to the target -> LOWERED passes -> lowered graph

A pass says on which targets it runs. `reference` is the oracle that the other targets are compared with, so it stays
what the author wrote: nothing but dead code is taken from it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from .errors import BuildError
from .ir import Array, Graph
from .opspec import OpSpec
from .passes.canonical import canonical
from .passes.constant_folding import constant_folding
from .passes.crops_to_slice import crops_to_slice
from .passes.dead_code import dead_code
from .passes.fold_gains import fold_gains
from .passes.fold_padding import fold_padding
from .passes.fold_scales import fold_scales
from .passes.fuse_activation import fuse_activation
from .passes.fuse_attention import fuse_attention
from .passes.fuse_convolution import fuse_convolution
from .passes.fuse_modulated import fuse_modulated
from .passes.match import Rewrite
from .passes.merge_elementwise import merge_elementwise
from .passes.no_ops import no_ops
from .passes.raise_attention import raise_attention
from .passes.raise_bias_act import raise_bias_act
from .passes.raise_filtered_lrelu import raise_filtered_lrelu
from .passes.raise_modulation import raise_modulation
from .passes.raise_norms import raise_norms
from .passes.raise_reorg import raise_reorg
from .passes.raise_rotary import raise_rotary
from .passes.raise_row_norms import raise_row_norms
from .passes.raise_upfirdn2d import raise_upfirdn2d
from .passes.rows_by_gemm import rows_by_gemm
from .passes.rules import Rules
from .passes.share import share
from .passes.static_weights import static_weights
from .passes.sum_of_squares import sum_of_squares
from .passes.trim_shells import trim_shells
from .targets import TARGETS, lower
from .verify import same_sizes, verify

ORACLE = "reference"

_Rewrite = TypeVar("_Rewrite", bound=Rewrite)


def everywhere(target: str) -> bool:
    return True


def but_the_oracle(target: str) -> bool:
    return target != ORACLE


def only(*targets: str) -> Callable[[str], bool]:
    """For a pass that makes layers which only these targets may have."""
    return targets.__contains__


@dataclass(frozen=True)
class Pass:
    """A rewrite Graph -> Graph, which returns the very graph it was given where it finds nothing to do.

    on: whether it runs when compiling for this target.
    """

    name: str
    run: Callable[[Graph], Graph]
    on: Callable[[str], bool] = but_the_oracle


BUILT: tuple[Pass, ...] = (
    # First: what nobody reads must not count as a reader, which would stop every pattern.
    Pass("dead_code", dead_code, everywhere),
    # Before all that look at parameters, which a net that was read may spell in other ways than the DSL.
    Pass("canonical", canonical),
    # Constants become known here, and the patterns below want to know weights.
    Pass("constant_folding", constant_folding),
    # What does nothing would stand between the parts of a pattern.
    Pass("no_ops", no_ops),
    # Before modulation: the filter behind a transposed convolution is part of that pattern.
    Pass("raise_upfirdn2d", raise_upfirdn2d),
    Pass("raise_modulation", raise_modulation),
    # Behind the convolutions that it belongs to.
    Pass("raise_bias_act", raise_bias_act),
    # Behind the filters, which are two thirds of it.
    Pass("raise_filtered_lrelu", raise_filtered_lrelu),
    # Before factors are merged, which are parts of these patterns.
    Pass("raise_norms", raise_norms),
    # Two factors are one before they are folded.
    Pass("merge_elementwise", merge_elementwise),
    # Into weights before gains: a linear fully_connected with a gain would be lowered to one layer more.
    Pass("fold_scales", fold_scales),
    Pass("fold_gains", fold_gains),
    # Behind all that take weights out of Shells.
    Pass("trim_shells", trim_shells),
)
"""On the graph that the author built, where composite ops say what is meant."""

LOWERED: tuple[Pass, ...] = (
    # What the lowering made is folded and merged as above, for the same reasons.
    Pass("constant_folding", constant_folding),
    Pass("no_ops", no_ops),
    Pass("merge_elementwise", merge_elementwise),
    # Before the folding into weights: a weight that is an input has none to fold into.
    Pass("static_weights", static_weights),
    # Before ours take the convolutions' place.
    Pass("fold_padding", fold_padding),
    Pass("fold_scales", fold_scales),
    Pass("fold_gains", fold_gains),
    Pass("sum_of_squares", sum_of_squares),
    # Behind sums of squares, which are part of it.
    Pass("raise_row_norms", raise_row_norms),
    # Before attention, whose keys are turned by Permutes that the rotary positions leave together.
    Pass("raise_rotary", raise_rotary),
    # Behind the folding into weights, of which it changes the order.
    Pass("raise_reorg", raise_reorg),
    # Behind the folding of factors: those of the scores are taken as they are left.
    Pass("raise_attention", raise_attention),
    Pass("fuse_attention", fuse_attention),
    # Behind the folding: a factor between a layer and its activation would keep the two apart.
    Pass("fuse_activation", fuse_activation),
    Pass("fuse_modulated", fuse_modulated, only("fused")),
    # Behind all that look for a Convolution, and behind its activation, of which there are more than ours has.
    Pass("fuse_convolution", fuse_convolution, only("fused")),
    Pass("trim_shells", trim_shells),
    # Behind all that look for an InnerProduct.
    Pass("rows_by_gemm", rows_by_gemm),
    # Behind all that take what has one reader: what is the same still, when they have found nothing, is made once.
    Pass("share", share),
    # Behind it: the Crops of what was made several times are of one value now.
    Pass("crops_to_slice", crops_to_slice),
    # Last: what other passes leave without a reader goes here.
    Pass("dead_code", dead_code, everywhere),
)
"""On the layers that will be emitted."""

OWN: dict[str, list[Pass]] = {"built": [], "lowered": []}
"""Passes of users, by rewrites()."""


def rewrites(name: str, *, stage: str = "lowered", targets: Collection[str] = ()) -> Callable[[_Rewrite], _Rewrite]:
    """Decorator: this function (graph, node, matcher) is a pass, which every net is compiled with from now on.

    It is asked for every node, until nothing is found any more. Where the node is the last one of its pattern, it makes
    the node's outputs in another way, with functions of the DSL on the graph, and returns their Values; else None. It
    touches nothing else: what nobody reads any longer goes. matcher.interior(value, "Type") is the node that makes a
    value which nobody else wants; matcher.need(condition, why) leaves the pattern alone where it does not hold, and
    --dump-passes says why. A rewrite that has not looked at a parameter which is off its default does not take place.

    stage: "built", the graph as its author wrote it, before all other passes; or "lowered", the layers that will be
    emitted, behind them. targets: those on which it runs; by default all but "reference", which is the oracle.
    Raises BuildError for an unknown stage or target, and for a name that a pass has.
    """
    if stage not in OWN:
        raise BuildError("unknown stage", argument="stage", expected=sorted(OWN), got=stage)
    if unknown := sorted(set(targets) - TARGETS.keys()):
        raise BuildError("unknown target", argument="targets", expected=sorted(TARGETS), got=unknown)
    if name in {each.name for each in (*BUILT, *LOWERED, *OWN["built"], *OWN["lowered"])}:
        raise BuildError("a pass has this name", argument="name", expected="another one", got=name)

    def put(rewrite: _Rewrite) -> _Rewrite:
        on = only(*targets) if targets else but_the_oracle
        rules = Rules(name)
        rules.on(OpSpec)(lambda matcher, node: rewrite(matcher.new, node, matcher))
        OWN[stage].append(Pass(name, rules, on))
        return rewrite

    return put


def refusals(name: str, graph: Graph) -> dict[str, str]:
    """Name of a node that the pass of this name looked at -> why it stays as it is; {} of what is no pass of rules."""
    passes = (*BUILT, *LOWERED, *OWN["built"], *OWN["lowered"])
    found = [each.run for each in passes if each.name == name and isinstance(each.run, Rules)]
    return found[0].refusals(graph) if found else {}


Observe = Callable[[str, Graph, Graph], None]
"""(name of the step, graph before, graph after): told of every step, before its result is verified."""


ROUNDS = 100
"""More than any net needs: two passes that undo each other are a bug."""


def run_passes(
    graph: Graph,
    passes: Sequence[Pass],
    target: str,
    *,
    lowered: bool = False,
    observe: Observe | None = None,
    finite: dict[int, Array] | None = None,
) -> Graph:
    """Those of `passes` that run on this target, in order, and again until none finds anything to do.

    What an early one finds when a later one has run is rare, so the second round is mostly the last. The graph is
    verified after each pass that changed it, and at the end, should one have changed the graph that it was given.
    finite: as of verify().
    """
    finite = {} if finite is None else finite
    given = graph
    for number in range(ROUNDS):
        begin = graph
        for each in passes:
            if each.on(target):
                before, graph = graph, each.run(graph)
                if observe is not None and (number == 0 or graph is not before):
                    observe(each.name, before, graph)
                if graph is not before:
                    verify(graph, stage=f"after pass {each.name}", lowered=lowered, finite=finite)
                    same_sizes(before, graph, stage=f"after pass {each.name}")
                    if observe is None and before is not given:
                        before.let_go(graph)
        if graph is begin:
            verify(graph, stage="after the passes", lowered=lowered, finite=finite)
            return graph
    raise AssertionError(f"the passes find something to do after {ROUNDS} rounds")


def lower_and_optimise(graph: Graph, target: str, observe: Observe | None = None) -> Graph:
    """The whole way: verified, passes on the built graph, lowered, passes on the layers.

    Raises BuildError for an unknown target, and on any but `reference` for a shape that is not known; VerifyError
    where a step breaks a rule of the IR.
    """
    finite: dict[int, Array] = {}
    verify(graph, stage="after building", finite=finite)
    open_shape = next((v for v in graph.values() if not v.shape), None)
    if open_shape is not None and target != ORACLE:
        raise BuildError(
            f"a shape is not known, so nothing can be rewritten for the target {target}",
            argument=open_shape.name,
            got=open_shape.producer and f"the result of {open_shape.producer.spec.type}",
            fix="Give load() the shapes, as in shapes={'in0': (3, 224, 224)}; the target reference does without",
        )
    built = run_passes(graph, (*OWN["built"], *BUILT), target, observe=observe, finite=finite)
    lowered = lower(built, target, finite)
    if observe is not None:
        observe(f"lower_to_{target}", built, lowered)
    if observe is None and built is not graph:
        built.let_go(lowered)
    return run_passes(lowered, (*LOWERED, *OWN["lowered"]), target, lowered=True, observe=observe, finite=finite)
