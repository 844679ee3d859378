"""What kernels share that treat elements one by one: functions of float64 that are the GPU's, or the simulator's."""

from numba import int32, uint32

from fastml.kernels.cuda._warp import SIMULATOR, device_function

if SIMULATOR:
    # Python's own raise an error where those of a GPU give infinity.
    from math import erfc

    from numpy import exp, expm1, hypot, log, log1p, sqrt, tanh
else:
    from math import erfc, exp, expm1, hypot, log, log1p, sqrt, tanh

__all__ = ["divided", "erfc", "exp", "expm1", "hypot", "log", "log1p", "sqrt", "tanh"]


@device_function
def divided(number, divisor):
    """Quotient and remainder of numbers from 0 to 2^31 - 1: a division of 64 bits takes several times as long."""
    whole, part = uint32(number), uint32(divisor)
    quotient = whole // part
    return int32(quotient), int32(whole - quotient * part)
