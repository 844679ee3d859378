"""Put fastml's estimators in the place of scikit-learn's, for programs that import from scikit-learn.

Only the names in scikit-learn's public modules are replaced. The private modules that define the
classes stay as they are: fastml's estimators derive from them, and scikit-learn's pickles refer to them.
"""

import functools
import importlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from fastml import _log

# Modules that have the same name in both packages. Which of their estimators are replaced, the modules say.
FAMILIES = ("linear_model", "svm", "neural_network")


class _Replaced(NamedTuple):
    theirs: Any
    ours: Any


_lock = threading.Lock()
# (public scikit-learn module, attribute) -> what stood there and what stands there now
_replaced: dict[tuple[str, str], _Replaced] = {}
# BaseEstimator._validate_params as scikit-learn has it, while it is wrapped
_validate_params: Callable[[Any], None] | None = None


def patch_sklearn(names: str | Iterable[str] | None = None, *, verbose: bool = False) -> None:
    """Let imports from scikit-learn yield fastml's estimators, wherever fastml has them.

    What a program imported from scikit-learn before stays scikit-learn's. Objects of fastml's classes
    pickle as fastml's; a pickle that scikit-learn made yields scikit-learn's object. Worker processes
    get the estimators they are sent, fastml's included; what a worker started afresh imports by itself
    is fastml's only if it calls `patch_sklearn`, too.

    While patched, fits that run in scikit-learn are logged with the reason, at level INFO, by the logger
    ``fastml``, which also logs what runs in fastml, and on which device.

    Parameters
    ----------
    names : str or iterable of str, default=None
        The estimators to replace, such as ``"SGDClassifier"``. None replaces all that fastml has.
    verbose : bool, default=False
        Whether to print the logger's INFO lines to standard error, until `unpatch_sklearn`.

    Raises
    ------
    ValueError
        If fastml has no estimator of a name in `names`; then nothing is replaced.

    See Also
    --------
    unpatch_sklearn : Undo the replacement.

    Examples
    --------
    >>> import fastml
    >>> fastml.patch_sklearn()
    >>> from sklearn.linear_model import SGDClassifier
    >>> SGDClassifier.__module__.startswith("fastml.")
    True
    >>> fastml.unpatch_sklearn()
    """
    estimators = _estimators()
    chosen = _chosen(names, estimators)
    with _lock:
        for (module_name, name), ours in chosen.items():
            module = importlib.import_module(module_name)
            theirs = getattr(module, name)
            if theirs is not ours:
                _replaced[module_name, name] = _Replaced(theirs, ours)
                setattr(module, name, ours)
        _start_logging_fits({name for _, name in estimators})
        if verbose:
            _log.start_verbose()


def unpatch_sklearn() -> None:
    """Undo `patch_sklearn`: imports from scikit-learn yield scikit-learn's estimators again.

    What a program has imported meanwhile stays fastml's. Without a patch this does nothing.

    See Also
    --------
    patch_sklearn : Let imports from scikit-learn yield fastml's estimators.
    """
    with _lock:
        for (module_name, name), (theirs, ours) in _replaced.items():
            module = importlib.import_module(module_name)
            # Another package may have put its own there since; that is not ours to undo.
            if getattr(module, name) is ours:
                setattr(module, name, theirs)
        _replaced.clear()
        _stop_logging_fits()
        _log.stop_verbose()


def _estimators() -> dict[tuple[str, str], Any]:
    """The estimators that both packages have, by scikit-learn's public module and name."""
    found = {}
    for family in FAMILIES:
        spec = importlib.util.find_spec(f"fastml.{family}")
        if spec is None or not spec.has_location:  # a folder without __init__.py is no family
            continue
        ours = importlib.import_module(f"fastml.{family}")
        theirs = importlib.import_module(f"sklearn.{family}")
        for name in sorted(set(ours.__all__) & set(theirs.__all__)):
            found[theirs.__name__, name] = getattr(ours, name)
    return found


def _chosen(
    names: str | Iterable[str] | None, estimators: dict[tuple[str, str], Any]
) -> dict[tuple[str, str], Any]:
    if names is None:
        return estimators
    wanted = {names} if isinstance(names, str) else set(names)
    accepted = {name for _, name in estimators}
    if unknown := wanted - accepted:
        raise ValueError(f"'names' must be among {sorted(accepted)}. Got {sorted(unknown)} instead.")
    return {key: ours for key, ours in estimators.items() if key[1] in wanted}


def _start_logging_fits(fastml_names: set[str]) -> None:
    """Wrap what every fit of a scikit-learn estimator calls first, once, and its nested fits do not.

    ``_fit_context`` decorates the fits when scikit-learn's classes are made, so it is too late to wrap
    that; ``_validate_params`` is the one method that it calls on all of them.
    """
    global _validate_params
    from sklearn.base import BaseEstimator

    if _validate_params is not None:
        return
    _validate_params = validate_params = BaseEstimator._validate_params

    @functools.wraps(validate_params)
    def validate_params_and_log(self: Any) -> None:
        validate_params(self)
        if not _log.LOGGER.isEnabledFor(logging.INFO):
            return
        if reason := _why_in_sklearn(type(self), fastml_names):
            _log.log_delegated(self, "fit", reason)

    BaseEstimator._validate_params = validate_params_and_log


def _stop_logging_fits() -> None:
    global _validate_params
    if _validate_params is None:
        return
    from sklearn.base import BaseEstimator

    BaseEstimator._validate_params = _validate_params
    _validate_params = None


def _why_in_sklearn(estimator: type, fastml_names: set[str]) -> str | None:
    """Why fits of this class run in scikit-learn; None if they don't, or if it is an internal of its."""
    for cls in estimator.__mro__:
        package = cls.__module__.partition(".")[0]
        if package == "fastml" or (package == "sklearn" and cls.__name__.startswith("_")):
            return None
        if package == "sklearn":
            if cls.__name__ in fastml_names:
                return (
                    "the class is scikit-learn's, imported before the patch or left out of it, or unpickled"
                )
            return f"fastml has no {cls.__name__}"
    return None
