"""Files in the form that the predecessor's export writes: its names, its Inputs, and what it leaves out."""

from __future__ import annotations

from ncnn_builder import EmittedModel
from ncnn_builder.emit.syntax import parse

LEFT_OUT = {"Reduction": {5}, "Convolution": {0, 1, 6, 11}, "ConvolutionDepthWise": {0, 1, 6, 11}}


def as_its_file(model: EmittedModel) -> str:
    """The .param of a net for the target `reference`; its .bin stays as it is.

    One Input line for all inputs, without shapes; a Shell reads the first input, through a Split; no 5=1; the sizes of
    a weight that is an input are not said; id 31 is the number of input channels of a FconvTranspose2d; the last
    number of a Reshape to [1, 1, 1, n] is -1.
    """
    lines = parse(model.param).lines
    inputs = [line.outputs[0].text for line in lines if line.type.text == "Input"]
    shells = sum(line.type.text == "Shell" for line in lines)
    rows = [["Input", "0", str(len(inputs)), *inputs]]
    first = inputs[0]
    copies = [f"shell_{i}" for i in range(shells)]
    split = ["Split", "1", str(shells + 1), first, "first", *copies]
    rows += [split] if shells else []
    for line in lines:
        kind, dynamic = line.type.text, line.entry(19) is not None and line.entry(19).items[0].text == "1"
        if kind == "Input":
            continue
        reads = ["first" if t.text == first and shells else t.text for t in line.inputs]
        entries = {e.id: e.token.text for e in line.entries}
        for number in LEFT_OUT.get(kind, set()) if kind == "Reduction" or dynamic else set():
            entries.pop(number, None)
        if kind == "FconvTranspose2d":
            of = {e.id: int(e.items[0].text) for e in line.entries if e.form == "number" and e.id in (0, 1, 6, 11)}
            entries[17] = f"31={of[6] // of[0] // of[1] // of[11]}"
        if kind == "Reshape" and [entries.get(i) for i in (1, 11, 2)] == ["1=1", "11=1", "2=1"]:
            entries[0] = "0=-1"
        if kind == "Shell":
            reads = [copies.pop()]
        counts = [str(len(reads)), str(len(line.outputs))]
        rows.append([kind, *counts, *reads, *(t.text for t in line.outputs), *entries.values()])
    blobs = sum(int(row[2]) for row in rows)
    text = "".join(f"{row[0]:<24} layer_{i:08d}           {' '.join(row[1:])}\n" for i, row in enumerate(rows))
    return f"7767517\n{len(rows)} {blobs}\n{text}"
