"""What the numbers of parameters mean, by name."""

from enum import IntEnum


class Binary(IntEnum):
    """`op` of BinaryOp; R: with the operands exchanged."""

    Add, Sub, Mul, Div, Max, Min, Pow, RSub, RDiv, RPow, Atan2, RAtan2, FMod, RFMod = range(14)
    LogAddExp, FloorDivide, RFloorDivide, Remainder, RRemainder = range(14, 19)


class Unary(IntEnum):
    """`op` of UnaryOp."""

    abs, neg, floor, ceil, square, sqrt, rsqrt, exp, log, sin, cos, tan, asin, acos, atan, reciprocal = range(16)
    tanh, log10, round, trunc, sign, expm1, sinh, asinh, cosh, acosh, atanh, log1p = range(16, 28)


class Reduce(IntEnum):
    """`operation` of Reduction; 1 is L1 as well."""

    Sum, SumSquare, Mean, Max, Min, Prod, L1, L2, LogSum, LogSumExp = 0, *range(2, 11)


class Fused(IntEnum):
    """`activation_type` of a convolution or a matrix product: fused_activation.h."""

    NONE, RELU, LEAKY_RELU, CLIP, SIGMOID, MISH, HARD_SWISH = range(7)


class Act(IntEnum):
    """`act` of BiasAct and bias_act."""

    LINEAR, RELU, LRELU, TANH, SIGMOID, ELU, SELU, SOFTPLUS, SWISH = range(9)


class Vector(IntEnum):
    """`op` of F4DOp1D."""

    Mul, Div, Add, Sub = range(4)


class Pool(IntEnum):
    """`pooling_type` of Pooling."""

    MAX, AVERAGE = range(2)


class Windows(IntEnum):
    """`pad_mode` of Pooling: the last windows hang over, or not."""

    FULL, VALID = range(2)


class Border(IntEnum):
    """`mode` of Padding."""

    CONSTANT, EDGE, REFLECT = range(3)


class Least(IntEnum):
    """`eps_mode` of Normalize: what is at least eps."""

    ADDED, LENGTH, SQUARE = range(3)


class Region(IntEnum):
    """`region_type` of LRN."""

    CHANNELS, PLACES = range(2)


class Noise(IntEnum):
    """`noise` of ModulatedConv2d."""

    NONE, CONSTANT, INPUT = range(3)


class GemmC(IntEnum):
    """`constant_broadcast_type_c` of Gemm: none, or a number for each column."""

    NONE, COLUMNS = -1, 4
