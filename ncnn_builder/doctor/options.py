"""The switches of ncnn's runtime that change numbers, as an app sets them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import BuildError

SWITCHES: dict[str, str | None] = {
    "threads": "threads",
    "packing": None,
    "sgemm": "sgemm",
    "winograd": "winograd",
    "fp16_packed": "fp16_storage",
    "fp16_storage": "fp16_storage",
    "fp16_arithmetic": "fp16_arithmetic",
    # There is a bit, but ncnn hands a masked layer behind others bf16 numbers as if they were float32, and it crashes:
    # convert_layout() in net.cpp converts only for layers whose own options have bf16.
    "bf16_storage": None,
    "bf16_arithmetic": "bf16",
    "vulkan": "vulkan",
}
"""Switch -> the feature of the mask (features.FEATURES) that turns it off for one layer; None: no bit does.

In the order in which they are suspected, the last ones first: where two together are too much, the coarser one is."""

_WORDS = {
    "fp16": {"fp16_storage": True, "fp16_packed": True, "fp16_arithmetic": True},
    "bf16": {"bf16_storage": True},
}


@dataclass(frozen=True)
class Options:
    """Options of a net; the defaults are those of our runtime, in full precision."""

    fp16_storage: bool = False
    fp16_packed: bool = False
    fp16_arithmetic: bool = False
    bf16_storage: bool = False
    winograd: bool = True
    sgemm: bool = True
    packing: bool = True
    threads: int = 2
    vulkan: bool = False
    bf16_arithmetic: bool = False

    @classmethod
    def parse(cls, text: str) -> Options:
        """Options from words such as ``fp16,no-winograd,threads=4``.

        fp16 is ncnn's own default: fp16_storage, fp16_packed and fp16_arithmetic. Any switch is a word, and with
        ``no-`` it is off. Raises BuildError for another word.
        """
        known = {name: {name: True} for name in SWITCHES if name != "threads"} | _WORDS
        changes: dict[str, Any] = {}
        for word in filter(None, (part.strip() for part in text.split(","))):
            if word.startswith("threads="):
                number = word.partition("=")[2]
                if not (number.isascii() and number.isdigit() and len(number) < 19 and 1 <= int(number) <= 1024):
                    raise BuildError("bad number of threads", argument="--options", expected="1 to 1024", got=number)
                changes["threads"] = int(number)
                continue
            name = word.removeprefix("no-").replace("-", "_")
            if name not in known:
                words = [*known, "threads=N", "and no- before a word"]
                raise BuildError("unknown word", argument="--options", expected=", ".join(words), got=word)
            changes.update(dict.fromkeys(known[name], not word.startswith("no-")))
        return replace(cls(), **changes)

    @property
    def on(self) -> list[str]:
        """Switches that are not as in the plainest net."""
        return [name for name in SWITCHES if getattr(self, name) != getattr(PLAIN, name)]

    def off(self, switches: Iterable[str]) -> Options:
        """The same with these switches as in the plainest net."""
        return replace(self, **{name: getattr(PLAIN, name) for name in switches})

    @property
    def tolerance(self) -> float:
        """What may be expected of these options, relative to a tensor's largest magnitude.

        fp32: 1e-4, ten times what whole networks show; 1e-3 on a GPU, which may add in another order and has a quicker
        exp(). Numbers of 11 bits (fp16) or 8 (bf16) after some tens of layers.
        """
        if self.bf16_storage or self.bf16_arithmetic:
            return 1e-1
        if self.fp16_storage or self.fp16_packed or self.fp16_arithmetic:
            return 2e-2
        return 1e-3 if self.vulkan else 1e-4

    def keywords(self) -> dict[str, Any]:
        """As runtime.Net takes them."""
        return asdict(self)

    def __str__(self) -> str:
        words = ["fp32"] if not any(getattr(self, n) for n in SWITCHES if "fp16" in n or "bf16" in n) else []
        words += [n for n in SWITCHES if n != "threads" and getattr(self, n) and not getattr(Options(), n)]
        words += [f"no-{n}" for n in SWITCHES if n != "threads" and not getattr(self, n) and getattr(Options(), n)]
        return ", ".join([*words, f"threads={self.threads}"])


PLAIN = Options(winograd=False, sgemm=False, packing=False, threads=1)
"""Nothing but plain fp32 loops."""
