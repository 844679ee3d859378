"""The exceptions of fastml that scikit-learn and Python have no name for."""

__all__ = ["DatasetUnavailableError"]


class DatasetUnavailableError(OSError):
    """A data set is neither on this machine nor can it be downloaded.

    The message says where it was looked for and what each mirror answered. It derives from `OSError`, as
    what scikit-learn's ``fetch_*`` functions raise in this case does.
    """
