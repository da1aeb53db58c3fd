"""What a pass is made of: patterns, reasons of refusals, what the engine refuses by itself, and who says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pass_support import graph_of, refuses, types

import ncnn_builder as nb
from ncnn_builder.builder import append, filled
from ncnn_builder.ir import Node
from ncnn_builder.ops.enums import Fused
from ncnn_builder.ops.layers import Abs, Clamp, ReLU, Square, Tile
from ncnn_builder.passes.constant_folding import constant_folding
from ncnn_builder.passes.fold_scales import fold_scales
from ncnn_builder.passes.fuse_activation import fuse_activation
from ncnn_builder.passes.match import Matcher, need, rewrite_all
from ncnn_builder.passes.rules import Made, Rules
from ncnn_builder.pipeline import BUILT, LOWERED

CONV = torch.nn.Conv2d(3, 4, 3, padding=1)
PICTURE = (3, 5, 6)


def _two_readers(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
    y = nb.conv2d(g, x, CONV)
    return [*nb.MulConstant(g, y, 0.5), *nb.activation(g, y, "relu")]


def _sigmoid_inside(g: nb.Graph, x: nb.Value) -> nb.Values:
    conv = nb.conv2d(g, x, CONV)[0].producer
    return append(g, conv.spec, x, {**conv.params, "activation_type": Fused.SIGMOID}, conv.weights)


CASES: list[tuple[Rules, Callable[..., Any], str]] = [
    (fold_scales, _two_readers, "somebody else reads Convolution_1"),
    (fold_scales, lambda g, x: nb.MulConstant(g, _sigmoid_inside(g, x), 0.5), "an activation between the two"),
    (fuse_activation, lambda g, x: nb.activation(g, _sigmoid_inside(g, x), "relu"), "already"),
    (constant_folding, lambda g, x: nb.log(g, nb.shell(g, [], -np.ones((2, 2, 1, 1)))), "a result that is no number"),
]


@pytest.mark.parametrize(("rules", "build", "reason"), CASES)
def test_a_refusal_has_a_reason(rules: Rules, build: Callable[..., Any], reason: str) -> None:
    refuses(rules, graph_of(build, PICTURE), reason)


def test_what_is_no_pattern_has_none() -> None:
    assert fold_scales.refusals(graph_of(lambda g, x: nb.MulConstant(g, nb.abs(g, x), 0.5), PICTURE)) == {}


def test_rules_are_asked_in_order_until_one_makes_something() -> None:
    rules = Rules("order")

    @rules.on(ReLU, Abs)
    def _never(m: Matcher, node: Node) -> Made:
        need(False, "the first says no")
        return None

    @rules.on(ReLU)
    def _square(m: Matcher, node: Node) -> Made:
        return m.make(Square, node.inputs[0])

    g = graph_of(lambda g, x: nb.abs(g, nb.activation(g, x, "relu")), PICTURE)
    assert types(rules(g)) == ["Square", "Abs"]
    assert list(rules.refusals(g).values()) == ["the first says no"]


def test_the_engine_says_what_it_refuses_by_itself() -> None:
    """A parameter that nobody has looked at, another shape, what a declaration refuses."""
    reckless = Rules("reckless")

    @reckless.on(Clamp)
    def _drops_limits(m: Matcher, node: Node) -> Made:
        return m.make(Abs, node.inputs[0])

    @reckless.on(Tile)
    def _drops_tile(m: Matcher, node: Node) -> Made:
        return [node.inputs[0]] if dict(node.params) else None

    @reckless.on(Square)
    def _upside_down(m: Matcher, node: Node) -> Made:
        return m.make(Clamp, node.inputs[0], min=2.0, max=1.0)

    def build(g: nb.Graph, x: nb.Value) -> list[nb.Value]:
        tile = filled(nb.registry["Tile"], axis=0, tiles=2)
        return [*nb.clamp(g, x, -3, 4), *append(g, nb.registry["Tile"], x, tile), *nb.square(g, x)]

    g = graph_of(build, PICTURE)
    assert reckless(g) is g
    clamp, tile, square = reckless.refusals(g).values()
    assert "min=-3" in clamp and "in another way" in tile and "min is above max" in square


def test_every_pass_of_rules_is_asked_by_the_dump(tmp_path: Path) -> None:
    assert sum(isinstance(each.run, Rules) for each in (*BUILT, *LOWERED)) > 20
    nb.compile_graph(graph_of(_two_readers, PICTURE), "stock", dump=tmp_path)
    said = {p.name.partition(".")[0][3:]: p.read_text() for p in (tmp_path / "pass").glob("*.refused.txt")}
    assert "somebody else reads" in said["fold_scales"]


def test_a_rewrite_that_is_no_rule_may_refuse_too() -> None:
    def rewrite(new: nb.Graph, node: Node, matcher: Matcher) -> list[nb.Value] | None:
        need(node.spec.type != "Abs", "not this one")
        return list(nb.abs(new, node.inputs[0]))

    why: dict[str, str] = {}
    g = graph_of(lambda g, x: nb.abs(g, nb.square(g, x)), PICTURE)
    assert types(rewrite_all(g, rewrite, "to abs", why)) == ["Abs", "Abs"]
    assert set(why.values()) == {"not this one"} and len(why) == 2
