"""Convolutions on the CPU; the contract is ``fastml.kernels.reference.conv``.

Few channels are laid out one by one in a strip of the image that fits the first-level cache (``src_ext/conv/strip.h``);
of many, patches are packed for the matrix product's micro-kernel block by block (``implicit.h``); where each filter has
a channel of its own, vectors lie along the channels (``depthwise.h``). What is pooled at once is in no memory before.
Gradients through max pooling are computed from the maxima alone (``maxima.h``; of few channels and windows of 2 x 2,
``windows.h``), but for those to filters of few channels otherwise, or through windows of two or three positions.
"""

import fastml.kernels.cpu._conv as _conv
from fastml.kernels.cpu._operation import as_function

__all__ = [
    "forward",
    "forward_max_pooled",
    "gradient_filters",
    "gradient_filters_max_pooled",
    "gradient_input",
    "gradient_input_max_pooled",
]

forward = as_function(_conv.forward)
forward_max_pooled = as_function(_conv.forward_max_pooled)
gradient_filters = as_function(_conv.gradient_filters)
gradient_filters_max_pooled = as_function(_conv.gradient_filters_max_pooled)
gradient_input = as_function(_conv.gradient_input)
gradient_input_max_pooled = as_function(_conv.gradient_input_max_pooled)
