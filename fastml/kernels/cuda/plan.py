"""Plans on the GPU: a list of calls, queued on one stream; the contract is ``fastml.kernels.reference.plan``.

Kernels of the families are checked and laid out when a plan is made; other functions are called. To be measured on a
GPU: what launches take beside the kernels of a small network, which a CUDA graph would do at once.
"""

import functools

__all__ = ["compile", "run"]


def compile(steps, n_threads=None):
    plan = []
    for function, args in steps:
        if hasattr(function, "operation"):
            plan += function.operation(*args)
        else:
            plan.append(functools.partial(function, *args))
    return plan


def run(plan):
    for call in plan:
        call()
