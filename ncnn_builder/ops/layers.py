"""The declarations of all ops, by the names of their classes: what passes and lowerings look for."""

from .activations.piecewise import AbsVal, Clip, HardSigmoid, HardSwish, PReLU, ReLU, Shrink, Threshold
from .activations.smooth import BNLL, CELU, ELU, GELU, SELU, Erf, Mish, Sigmoid, Softplus, Swish, TanH
from .arithmetic.binary import BinaryOp
from .arithmetic.channelwise import Bias, Eltwise
from .arithmetic.elementwise import Abs, Clamp, Lerp, MulConstantSpec, Rsqrt, Sin, Sqrt, Square
from .arithmetic.reduce import Reduction, Softmax
from .arithmetic.unary import DeepCopy, Dropout, Exp, Log, Noop, Power, UnaryOp
from .classic import SPP, ArgMax
from .convolutions.columns import Fold, Unfold
from .convolutions.conv import Convolution, ConvolutionDepthWise
from .convolutions.conv_nd import (
    Convolution1D,
    Convolution3D,
    ConvolutionDepthWise1D,
    ConvolutionDepthWise3D,
    Deconvolution1D,
    Deconvolution3D,
    DeconvolutionDepthWise1D,
    DeconvolutionDepthWise3D,
)
from .convolutions.deconv import Deconvolution, DeconvolutionDepthWise, FconvTranspose2d
from .convolutions.fused_conv import FusedConv2dLayer
from .detectors.detection import Proposal, YoloDetectionOutput, Yolov3DetectionOutput
from .detectors.regions import PSROIPooling, ROIAlign, ROIPooling
from .detectors.ssd import DetectionOutput, PriorBox
from .generators.alias_free import FilteredLreluComposite, SynthesisInputComposite
from .generators.composite import BiasActComposite, ModulatedConv2d, Upfirdn2d
from .generators.filters import FilteredLreluSpec, Upfirdn2dSpec
from .generators.fully_connected import FullyConnected
from .generators.modulated import ModulatedConv2dLayer, ToRGBLayer
from .generators.stylegan import (
    AddNoiseSpec,
    BiasActSpec,
    F4DOp1DSpec,
    StyleganPostSpec,
    StyleMixingSwitcherSpec,
    TransformsSpec,
)
from .matrices.linear import FmatmulSpec
from .matrices.matrix import Einsum, Gemm
from .norms.norm import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from .norms.response_norm import LRN, MVN, Normalize
from .number_types import Cast, Dequantize, Packing, Quantize, Requantize
from .pools.pool_nd import Pooling1D, Pooling3D, StatisticsPooling
from .pools.pooling import Pooling
from .resampling.resample import Down2, Interp, Up2, Up4
from .resampling.sampling import DeformableConv2D, GridSample
from .sequences.attention import SDPA, MultiHeadAttention, RotaryEmbed
from .sequences.recurrent import GRU, LSTM, RNN
from .sequences.sequence import GLU, CumulativeSum, Embed
from .shapes.crop import Crop
from .shapes.dims import ExpandDims, Flatten, Reorg, Squeeze
from .shapes.orders import Diag, Flip, ShuffleChannel, Tile
from .shapes.pad import Padding
from .shapes.permute import Permute
from .shapes.shape import Concat, CoordConcat, Input, Reshape, Split
from .shapes.slices import CopyTo, Slice
from .signal import InverseSpectrogram, Spectrogram
from .stock import InnerProduct, MatMul, MemoryData, PixelShuffle, Scale
from .weights import Shell
