"""Dense layers on the CPU; the contract is ``fastml.kernels.reference.dense``.

All three products are ``src_ext/simd/product.h``.
"""

import fastml.kernels.cpu._dense as _dense
from fastml.kernels.cpu._operation import as_function

__all__ = ["forward", "gradient_input", "gradient_weights"]

forward = as_function(_dense.forward)
gradient_input = as_function(_dense.gradient_input)
gradient_weights = as_function(_dense.gradient_weights)
