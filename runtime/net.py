"""Any ncnn net: load it, run it, look into it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _ncnn, open_sizes
from ._ncnn import default_threads, memory_limit
from .errors import BlobError, InputError, OptionError, brief
from .isolation.net import IsolatedNet, check_possible
from .open_sizes import OpenShape
from .values import FloatArray as FloatArray
from .values import number_of, whole_number


class Layer(NamedTuple):
    """One line of the .param file."""

    type: str
    name: str
    bottoms: list[str]
    tops: list[str]


class Net:
    """An ncnn net in memory.

    Args:
        param, bin: the two files of the net.
        threads: at least 1; None takes the physical cores, no more than a container's quota.
        fp16_storage, fp16_packed, fp16_arithmetic, bf16_storage: reduced precision, off: on x86 it costs
            accuracy and ncnn's layers gain nothing. With fp16_storage our convolutions keep their weights in float16:
            half of that memory. bf16_storage takes a build with ``-C cmake.define.NCNN_BUILDER_BF16=ON``.
        bf16_arithmetic: our convolutions multiply in bfloat16 and add in float32, off: 1.2 to 1.4 times as fast on
            processors with AVX-512-BF16. It costs each 3x3 convolution 2 to 4 % of its root mean square, or 0.2 %
            with winograd=False. On others it changes nothing.
        winograd, sgemm, packing: ncnn's faster kernels, on.
        lightmode: frees a blob after its last use, on. Any blob can be asked for all the same.
        vulkan: runs on a GPU, off. The checks between the layers are left out then. Takes a build with
            ``-C cmake.define.NCNN_BUILDER_VULKAN=ON``.
        guard: puts each blob between pages that nobody may touch, off: a layer that reads or writes far beyond its
            blob is a signal at once, one that writes near to it or leaves a part of its output unwritten a LayerError.
            For nets that nobody trusts, with isolate; a layer costs some microseconds more for each blob.
        any_shape: takes inputs of other shapes than the Input layers of the file state, off. ncnn does not look at what
            they state, and many nets run at any size; what then does not fit is a LayerError. Nor does what a NAME.json
            says of open sizes count then.
        isolate: runs the net in a process of its own, off: whatever ncnn does there, a crash, too much memory, a layer
            without end, is a CrashError here, and the next run starts anew. For nets of strangers. The numbers are
            the same; a run takes about 0.1 ms longer, and loading some hundredths of a second. It guards against
            faults, not against a file that was made to take the process over.
        timeout: with isolate, seconds that loading or a run may take; None: any time.

    Raises:
        ParamError, WeightsError: the files are missing, damaged, foreign, or do not belong together.
        OptionError: a bad number of threads or timeout; no Vulkan device, or a build without Vulkan or bf16; guard or
            isolate on a system without.

    ``run`` may be called from several Python threads at once. Ctrl-C and other signals act while a layer runs: what
    the handler raises comes out of ``run``, and the layer ends by itself, or, isolated, at once. After fork() a net
    works in the child too.
    """

    def __init__(
        self,
        param: str | os.PathLike[str],
        bin: str | os.PathLike[str],
        *,
        threads: int | None = None,
        fp16_storage: bool = False,
        fp16_packed: bool = False,
        fp16_arithmetic: bool = False,
        bf16_storage: bool = False,
        bf16_arithmetic: bool = False,
        winograd: bool = True,
        sgemm: bool = True,
        packing: bool = True,
        lightmode: bool = True,
        vulkan: bool = False,
        guard: bool = False,
        any_shape: bool = False,
        isolate: bool = False,
        timeout: float | None = None,
    ) -> None:
        self._threads = check_threads(threads)
        self._param, self._bin = os.fspath(param), os.fspath(bin)
        make: Callable[..., _ncnn.Net | IsolatedNet] = _ncnn.Net
        if isolate:
            check_possible()
            make = partial(IsolatedNet, timeout=check_timeout(timeout))
        elif timeout is not None:
            raise OptionError(
                "timeout is for a net in a process of its own", expected="isolate=True", got="isolate=False"
            )
        self._net = make(
            self._param,
            self._bin,
            threads=self._threads,
            fp16_storage=fp16_storage,
            fp16_packed=fp16_packed,
            fp16_arithmetic=fp16_arithmetic,
            bf16_storage=bf16_storage,
            bf16_arithmetic=bf16_arithmetic,
            winograd=winograd,
            sgemm=sgemm,
            packing=packing,
            lightmode=lightmode,
            vulkan=vulkan,
            guard=guard,
            any_shape=any_shape,
            memory_limit=memory_limit(),
        )
        self._inputs = self._net.inputs()
        self._outputs = self._net.outputs()
        self._sizes = (
            {} if any_shape else {n: s for n, s in open_sizes.stated(self._param).items() if n in self._inputs}
        )
        readers = {blob: layer.type for layer in self.layers for blob in layer.bottoms}
        # The least number that an input of whole numbers may hold: Embed takes them for rows of its weight.
        self._least = {name: 0 if readers[name] == "Embed" else -(2**31) for name in self._net.index_inputs()}

    def run(self, inputs: Mapping[str, npt.ArrayLike], outputs: Sequence[str] | None = None) -> dict[str, FloatArray]:
        """Computes blobs.

        Args:
            inputs: arrays of 1 to 4 dimensions, outer first, no batch. Any real type is converted to
                float32; an input that an Embed, Dequantize or Requantize layer reads takes whole numbers.
                float32 in C order is read in place where its memory allows, so leave it unchanged until `run`
                returns.
            outputs: names of any blobs; None means all blobs without a consumer.

        Returns:
            name -> float32 array, outer first; its memory is reused by the net once the array is gone.

        Raises:
            InputError: an input is missing, unknown, empty, NaN, of the wrong shape, or not of real numbers; of a net
                of open sizes with what they may be (see `sizes`), before any layer runs.
            BlobError: no blob has that name, or `outputs` is not a list of names.
            LayerError: a layer failed, would have read outside its inputs, or left a part of its output unwritten; says
                which, and its inputs.
            CrashError: the process of an isolated net ended, or was ended; says in which layer.
        """
        return self._net.run(*self._request(inputs, outputs))

    def times(self, inputs: Mapping[str, npt.ArrayLike], outputs: Sequence[str] | None = None) -> list[float]:
        """Seconds that each layer takes in one run, in the order of `layers`; 0 for those that the outputs do not need.

        Of one thread they are seconds of the processor, of which other programs take nothing. Arguments and errors as
        of `run`. A first run is slower. With vulkan all are 0.
        """
        return self._net.times(*self._request(inputs, outputs))

    def _request(
        self, inputs: Mapping[str, npt.ArrayLike], outputs: Sequence[str] | None
    ) -> tuple[dict[str, npt.NDArray[Any]], list[str]]:
        if not isinstance(inputs, Mapping) or not all(isinstance(name, str) for name in inputs):
            raise InputError("inputs must be a dict from names to arrays", got=brief(inputs))
        if isinstance(outputs, str):
            raise BlobError("outputs must be a list of names", got=repr(outputs), fix=f"Write outputs=[{outputs!r}]")
        try:
            names = self._outputs if outputs is None else list(outputs)
        except TypeError:
            names = None
        if names is None or not all(isinstance(name, str) for name in names):
            raise BlobError("outputs must be a list of names", got=brief(outputs))
        arrays = {name: self._as_array(name, value) for name, value in inputs.items()}
        open_sizes.check(self._sizes, {name: array.shape for name, array in arrays.items()})
        return arrays, names

    def stop(self, gently: bool = False) -> None:
        """Ends the runs of other threads: they raise LayerError, of an isolated net CrashError, without delay.

        gently: an isolated net's end before their next layer instead, with LayerError, and its process stays.
        """
        if gently and isinstance(self._net, IsolatedNet):
            self._net.stop(gently=True)
        else:
            self._net.stop()

    def _as_array(self, name: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
        try:
            array = np.asarray(value)
        except (
            TypeError,
            ValueError,
            RuntimeError,
        ) as error:  # ragged lists, a tensor on a GPU or with gradient
            raise InputError(f"input '{name}' cannot be made into an array", reason=str(error)) from None
        if name in self._least:
            if array.dtype.kind not in "iu":
                raise InputError(f"input '{name}' has the wrong type", expected="whole numbers", got=str(array.dtype))
            if array.size and (array.min() < self._least[name] or array.max() > 2**31 - 1):
                raise InputError(f"input '{name}' holds a number outside {self._least[name]}..2147483647")
            return np.ascontiguousarray(array, dtype=np.int32)
        if array.dtype.kind not in "biuf":
            raise InputError(f"input '{name}' has the wrong type", expected="real numbers", got=str(array.dtype))
        if array.ndim == 0:
            raise InputError(f"input '{name}' has no dimensions", expected="1 to 4", got="a single number")
        with np.errstate(over="ignore"):  # looked at below
            result: FloatArray = np.ascontiguousarray(array, dtype=np.float32)
        if result is not array and np.isinf(result).any() and not np.isinf(array).any():
            raise InputError(f"input '{name}' holds a number too large for float32")
        return result

    @property
    def threads(self) -> int:
        return self._threads

    @property
    def inputs(self) -> dict[str, tuple[int, ...] | None]:
        """Input name -> shape, outer first; None where the file declares none."""
        return dict(self._inputs)

    @property
    def sizes(self) -> dict[str, OpenShape]:
        """Input name -> shape, outer first, of inputs with open sizes: each size a number, or an OpenSize, which says
        what is allowed, as ``8*h``. Known where the NAME.json that convert() or save() wrote stands beside NAME.param.
        """
        return dict(self._sizes)

    @property
    def whole_inputs(self) -> list[str]:
        """Names of the inputs that take whole numbers, which an Embed or its like reads."""
        return list(self._least)

    @property
    def outputs(self) -> list[str]:
        """Names of the blobs that no layer consumes."""
        return list(self._outputs)

    @property
    def blobs(self) -> list[str]:
        """Names of all blobs, in the order of the file."""
        return self._net.blobs()

    @property
    def layers(self) -> list[Layer]:
        return [Layer(*layer) for layer in self._net.layers()]

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that the pool of blobs holds, and of those the bytes lent to live blobs and arrays."""
        return self._net.memory()

    def __repr__(self) -> str:
        return f"Net({self._param!r}, {self._bin!r}, threads={self._threads})"


def check_threads(threads: int | None) -> int:
    """`threads`, or the default for None. Raises OptionError unless it is a whole number from 1 to 1024."""
    if threads is None:
        return default_threads()
    number = whole_number(threads)
    if number is None or not 1 <= number <= 1024:
        raise OptionError("a bad number of threads", expected="1 to 1024", got=brief(threads))
    return number


def check_timeout(timeout: float | None) -> float | None:
    """The timeout in seconds. Raises OptionError unless it is a positive number, or None."""
    if timeout is None:
        return None
    try:
        seconds = number_of("timeout", timeout)
    except InputError:
        seconds = 0.0
    if seconds <= 0:
        raise OptionError("a bad timeout", expected="seconds, more than 0", got=brief(timeout))
    return seconds


def half_precision() -> bool:
    """Whether our convolutions can multiply in half precision here, which fp16_arithmetic asks for: on 64-bit ARM with
    asimdhp."""
    return _ncnn.half_precision()


def bf16_products() -> bool:
    """Whether they can in bfloat16, which bf16_arithmetic asks for: on x86-64 with AVX-512-BF16."""
    return _ncnn.bf16_products()


def ncnn_version() -> str:
    return _ncnn.ncnn_version


def layer_types() -> list[str]:
    """The layers that every net knows beside ncnn's own: this project's, and those of add_layers()."""
    return _ncnn.layer_types()
