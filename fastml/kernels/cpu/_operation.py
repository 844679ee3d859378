"""A family's functions, from the builders of its operations."""

import functools
import inspect
from collections.abc import Callable


def as_function(build: Callable) -> Callable:
    """The kernel function whose operation ``build`` makes: called, it runs it once.

    Its attribute ``operation`` is ``build``: ``plan.compile`` makes programs of what that returns. Arguments that
    ``build`` takes by keyword alone are for plans, not the function's.
    """

    @functools.wraps(build)
    def function(*args, **kwargs):
        build(*args, **kwargs).run()

    parameters = inspect.signature(build).parameters.values()
    vars(function)["__signature__"] = inspect.Signature(
        [p for p in parameters if p.kind is not p.KEYWORD_ONLY]
    )
    vars(function)["operation"] = build
    return function
