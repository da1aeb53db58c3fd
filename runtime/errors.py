"""The exceptions of the runtime. Each is one sentence for a person, and its parts as fields for a program."""

from __future__ import annotations

from .strangers import printable


class NcnnError(Exception):
    """What went wrong, where, what was expected, what was got, why, and what to do.

    Fields that do not apply are None. ``reason`` is what ncnn or a layer of ours said; ``str()`` joins all.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | None = None,
        line: int | None = None,
        layer: str | None = None,
        layer_type: str | None = None,
        expected: str | None = None,
        got: str | None = None,
        reason: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.file = file
        self.line = line
        self.layer = layer
        self.layer_type = layer_type
        self.expected = expected
        self.got = got
        self.reason = reason
        self.fix = fix
        super().__init__(self._message())

    def _message(self) -> str:
        text = f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""
        if self.layer or self.layer_type:
            text += f"layer {self.layer or '?'} ({self.layer_type or '?'}): "
        text += self.what
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.got is not None:
            text += f"; got {self.got}"
        if self.reason is not None:
            text += f"; reason: {self.reason}"
        if self.fix:
            text += f". {self.fix}"
        return printable(text, keep="")  # much of it comes from files


class ParamError(NcnnError):
    """A .param file that is missing, foreign, damaged, or asks for something that ncnn refuses."""


class WeightsError(NcnnError):
    """A .bin file that is missing, too short, too long, or not the one of its .param."""


class InputError(NcnnError):
    """An array that the net cannot take: missing, unknown, wrong shape or type, empty, NaN."""


class BlobError(NcnnError):
    """A blob that was asked for by a name that the net does not have, or that is not plain float32."""


class LayerError(NcnnError):
    """A layer that failed, or that would read outside its inputs, while the net ran."""


class CrashError(LayerError):
    """The process of an isolated net ended, or was ended, before it answered. ``layer``: what ran, if that is known."""


class OptionError(NcnnError):
    """An option of a net or a model with a value that means nothing."""


class BundleError(NcnnError):
    """A manifest that is missing, foreign or damaged, or files that are not the ones that it lists."""


class SeedError(NcnnError):
    """A seed file that is missing, of the wrong length, or not one."""


class UsageError(NcnnError):
    """A command line that cannot be carried out."""


def byte_count(number: int) -> str:
    return f"{number} byte" if number == 1 else f"{number} bytes"


def brief(value: object) -> str:
    """A value as one short line, whatever its repr is: that of an array has several."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
