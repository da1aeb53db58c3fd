"""A compiler from PyTorch modules to ncnn: an author writes export_ncnn() beside forward(), in this DSL.

Code written for the predecessor's ``ncnn_utils`` runs with ``import ncnn_builder as ncnn_utils``; docs/predecessor.md
says what takes the place of its driver.
"""

from .builder import (
    ValueLike,
    check_bottom_names,
    create_top_names,
    list_equal,
    newest_bottom_names,
    pretty_format,
    rename_tensor,
    split_input_tensor,
)
from .emit import STORAGES, EmittedModel, WeightStorage, compile_graph, load, save, write_files
from .errors import BuildError, EmitError, NcnnBuilderError, ParityError, ReadError, VerifyError
from .features import FEATURES, without
from .frontend import capture, convert, converts, export
from .ir import Graph, Node, Value, Values
from .modules import child, export_module, exports, from_pnnx
from .ops.activation import activation, prelu
from .ops.alias_free import filtered_lrelu, synthesis_input
from .ops.attention import multihead_attention, rotary_embed, scaled_dot_product_attention
from .ops.binary import binaryOp
from .ops.channelwise import bias, eltwise, linear, matmul, memorydata, pixel_shuffle, scale
from .ops.classic import argmax, spp
from .ops.columns import fold, unfold
from .ops.composite import bias_act, modulated_conv2d, upfirdn2d
from .ops.conv import Fconv2d, Fconv2d_depthwise, conv2d, fuse_conv_bn
from .ops.conv_modules import (
    Fconv1d,
    Fconv_transpose1d,
    conv1d,
    conv3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)
from .ops.deconv import Fconv_transpose2d
from .ops.detection import proposal, yolo_detection_output, yolov3_detection_output
from .ops.dims import flatten, pixel_unshuffle, squeeze, unsqueeze
from .ops.elementwise import MulConstant, abs, clamp, lerp, rsqrt, sin, sqrt, square
from .ops.filters import FilteredLrelu, Upfirdn2d
from .ops.fully_connected import fully_connected
from .ops.linear import Fmatmul
from .ops.matrix import einsum, gemm
from .ops.modulated import ModulatedConv2d, ToRGB
from .ops.norm import batch_norm, group_norm, instance_norm, layer_norm, rms_norm
from .ops.number_types import cast, dequantize, packing, quantize, requantize
from .ops.pad import pad
from .ops.permute import permute, really_permute
from .ops.piecewise import absval, threshold
from .ops.pool_nd import global_pool, pooling1d, pooling3d, statistics_pooling
from .ops.pooling import adaptive_avg_pool2d, adaptive_max_pool2d, pooling
from .ops.recurrent import gru, lstm, rnn
from .ops.reduce import really_reduction, reduction, softmax
from .ops.regions import ps_roi_pool, roi_align, roi_pool
from .ops.resample import down2, interpolate, up2, up4
from .ops.response_norm import local_response_norm, mvn, normalize
from .ops.sampling import deform_conv2d, grid_sample
from .ops.sequence import cumsum, embedding, glu
from .ops.shape import concat, coordconcat, crop, really_reshape, reshape, split
from .ops.signal import inverse_spectrogram, spectrogram
from .ops.slices import channel_shuffle, copyto, diag, flip, slice, tensor_split, tile
from .ops.ssd import detection_output, prior_box
from .ops.stylegan import AddNoise, BiasAct, F4DOp1D, StyleganPost, StyleMixingSwitcher, Transforms
from .ops.unary import deepcopy, dropout, exp, log, noop, power, unaryOp
from .ops.weights import shell
from .opspec import OpSpec, Param, Sample, Tolerance, Weight, functions, registry
from .targets import TARGETS
from .verify import verify

__version__ = "0.1.0"


__all__ = [
    "FEATURES",
    "STORAGES",
    "TARGETS",
    "AddNoise",
    "BiasAct",
    "BuildError",
    "EmitError",
    "EmittedModel",
    "F4DOp1D",
    "Fconv1d",
    "Fconv2d",
    "Fconv2d_depthwise",
    "Fconv_transpose1d",
    "Fconv_transpose2d",
    "FilteredLrelu",
    "Fmatmul",
    "Graph",
    "ModulatedConv2d",
    "MulConstant",
    "NcnnBuilderError",
    "Node",
    "OpSpec",
    "Param",
    "ParityError",
    "ReadError",
    "Sample",
    "StyleMixingSwitcher",
    "StyleganPost",
    "ToRGB",
    "Tolerance",
    "Transforms",
    "Upfirdn2d",
    "Value",
    "ValueLike",
    "Values",
    "VerifyError",
    "Weight",
    "WeightStorage",
    "abs",
    "absval",
    "activation",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "argmax",
    "batch_norm",
    "bias",
    "bias_act",
    "binaryOp",
    "capture",
    "cast",
    "channel_shuffle",
    "check_bottom_names",
    "child",
    "clamp",
    "compile_graph",
    "concat",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "convert",
    "converts",
    "coordconcat",
    "copyto",
    "create_top_names",
    "crop",
    "cumsum",
    "deepcopy",
    "deform_conv2d",
    "dequantize",
    "detection_output",
    "diag",
    "down2",
    "dropout",
    "einsum",
    "eltwise",
    "embedding",
    "exp",
    "export",
    "export_module",
    "exports",
    "filtered_lrelu",
    "flatten",
    "flip",
    "fold",
    "from_pnnx",
    "fully_connected",
    "functions",
    "fuse_conv_bn",
    "gemm",
    "global_pool",
    "glu",
    "grid_sample",
    "group_norm",
    "gru",
    "instance_norm",
    "interpolate",
    "inverse_spectrogram",
    "layer_norm",
    "lerp",
    "linear",
    "list_equal",
    "load",
    "local_response_norm",
    "log",
    "lstm",
    "matmul",
    "memorydata",
    "modulated_conv2d",
    "multihead_attention",
    "mvn",
    "newest_bottom_names",
    "noop",
    "normalize",
    "packing",
    "pad",
    "permute",
    "pixel_shuffle",
    "pixel_unshuffle",
    "pooling",
    "pooling1d",
    "pooling3d",
    "power",
    "prelu",
    "pretty_format",
    "prior_box",
    "proposal",
    "ps_roi_pool",
    "quantize",
    "really_permute",
    "really_reduction",
    "really_reshape",
    "reduction",
    "registry",
    "rename_tensor",
    "requantize",
    "reshape",
    "rms_norm",
    "rnn",
    "roi_align",
    "roi_pool",
    "rotary_embed",
    "rsqrt",
    "save",
    "scale",
    "scaled_dot_product_attention",
    "shell",
    "sin",
    "slice",
    "softmax",
    "spectrogram",
    "split",
    "split_input_tensor",
    "spp",
    "sqrt",
    "square",
    "squeeze",
    "statistics_pooling",
    "synthesis_input",
    "tensor_split",
    "threshold",
    "tile",
    "unaryOp",
    "unfold",
    "unsqueeze",
    "up2",
    "up4",
    "upfirdn2d",
    "verify",
    "without",
    "write_files",
    "yolo_detection_output",
    "yolov3_detection_output",
]
