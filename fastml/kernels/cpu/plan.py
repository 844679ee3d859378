"""Plans on the CPU; the contract is ``fastml.kernels.reference.plan``.

Consecutive operations become one C program (``src_ext/runtime/program.h``), for which threads are woken once;
between two programs, functions that have no operation are called.
"""

import functools
from itertools import groupby

from fastml.kernels.cpu._joined import joined
from fastml.kernels.cpu._runtime import Operation, Program

__all__ = ["compile", "run"]


def compile(steps, n_threads=None):
    made = [step if isinstance(step, Operation) else _called(*step) for step in joined(steps)]
    plan = []
    for is_function, group in groupby(made, lambda step: isinstance(step, functools.partial)):
        calls = list(group)
        plan += calls if is_function else [Program(calls, n_threads).run]
    return plan


def _called(function, args):
    return function.operation(*args) if hasattr(function, "operation") else functools.partial(function, *args)


def run(plan):
    for call in plan:
        call()
