"""The logger ``fastml``: what ran where, at level INFO. The package configures no logging unless asked to."""

import logging

LOGGER = logging.getLogger("fastml")
LOGGER.addHandler(logging.NullHandler())

_VERBOSE_FORMAT = "fastml: %(message)s"
_verbose_handler: logging.Handler | None = None
_level_before = logging.NOTSET


def log_ran(estimator: object, method: str, device: str) -> None:
    """Log that ``estimator.method`` ran in fastml, on ``device`` ("cpu" or "cuda")."""
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info("%s.%s ran in fastml on %s", type(estimator).__name__, method, device)


def log_delegated(estimator: object, method: str, reason: str) -> None:
    """Log that ``estimator.method`` ran in scikit-learn, and why."""
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info("%s.%s ran in scikit-learn: %s", type(estimator).__name__, method, reason)


def start_verbose() -> None:
    """Print the logger's INFO lines to standard error; a second call changes nothing."""
    global _verbose_handler, _level_before
    if _verbose_handler is not None:
        return
    _verbose_handler = logging.StreamHandler()
    _verbose_handler.setFormatter(logging.Formatter(_VERBOSE_FORMAT))
    LOGGER.addHandler(_verbose_handler)
    _level_before = LOGGER.level
    LOGGER.setLevel(logging.INFO)


def stop_verbose() -> None:
    """Undo `start_verbose`."""
    global _verbose_handler
    if _verbose_handler is None:
        return
    LOGGER.removeHandler(_verbose_handler)
    LOGGER.setLevel(_level_before)
    _verbose_handler = None
