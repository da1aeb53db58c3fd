"""What is wrong with how the layers of a file hang together, before anybody asks what they do."""

from __future__ import annotations

from collections.abc import Sequence

from .syntax import Line, Problem, Token


def wiring(lines: Sequence[Line]) -> list[Problem]:
    """Problems with names and blobs.

    duplicate-layer, duplicate-blob  a name that an earlier layer has
    order                            a blob is read before the layer that makes it
    no-producer                      a blob that no layer makes
    fan-out                          a blob that a second layer reads: ncnn's blobs have one reader
    """
    problems = []
    layers: dict[str, Token] = {}
    made: dict[str, Token] = {}
    for line in lines:
        if line.name.text in layers:
            where = layers[line.name.text].line
            problems.append(
                Problem(
                    "duplicate-layer", line.name, f"the layer in line {where} has this name", "Give it another name"
                )
            )
        layers.setdefault(line.name.text, line.name)
        for token in line.outputs:
            if token.text in made:
                what = f"the layer in line {made[token.text].line} makes a blob of this name"
                problems.append(
                    Problem("duplicate-blob", token, what, "Give one of the two, and who reads it, another name")
                )
            made.setdefault(token.text, token)
    read: dict[str, Token] = {}
    for line in lines:
        for token in line.inputs:
            if token.text not in made:
                problems.append(
                    Problem(
                        "no-producer",
                        token,
                        "no layer makes this blob",
                        "Is the name right? An input has a layer Input",
                    )
                )
            elif made[token.text].line >= line.number:
                what = f"line {made[token.text].line} makes this blob, after it is read"
                problems.append(
                    Problem("order", token, what, "Put the layer that makes a blob before those that read it")
                )
            if token.text in read:
                what = f"line {read[token.text].line} reads this blob already, and a blob has one reader"
                problems.append(Problem("fan-out", token, what, "Put a Split behind the layer that makes it"))
            read.setdefault(token.text, token)
    return problems
