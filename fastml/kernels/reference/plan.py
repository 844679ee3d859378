"""Plans: the kernel calls of a step of training, recorded once and run many times."""

import functools


def compile(steps, n_threads=None):
    """A plan that calls each function, in order.

    Arguments are checked now, and are to stay where they are: what changes from run to run lies in the arrays.

    Parameters
    ----------
    steps : sequence of (function, args)
        Functions of the families of this backend, or any others that take arrays of this backend; args is a tuple.
    n_threads : int or None
        At most so many, for kernels that run on threads; None is the number configured now. Results of a run don't
        depend on it.

    Returns
    -------
    plan
        For ``run``. It keeps the arrays.

    Raises
    ------
    TypeError, ValueError
        By a kernel whose arguments don't fit. (The reference, which checks nothing, raises in ``run``.)
    """
    del n_threads
    return [functools.partial(function, *args) for function, args in steps]


def run(plan):
    """Call a plan's functions, in order; one run at a time.

    Kernels may take subnormal numbers for zero, and give zero for them.

    Parameters
    ----------
    plan
        From ``compile``.
    """
    for call in plan:
        call()
