"""A family's functions, from the builders of its operations."""

import functools
from collections.abc import Callable


def as_function(build: Callable) -> Callable:
    """The kernel function whose operation ``build`` makes: called, it runs it once.

    Its attribute ``operation`` is ``build``: ``plan.compile`` makes programs of what that returns.
    """

    @functools.wraps(build)
    def function(*args, **kwargs):
        build(*args, **kwargs).run()

    vars(function)["operation"] = build
    return function
