"""Progress bars: tqdm's where the user wants to see one, nothing otherwise."""

from types import TracebackType
from typing import Protocol, Self

from fastml._config import get_config


class ProgressBar(Protocol):
    """What `progress_bar` gives: a context manager that counts."""

    def update(self, n: float = 1) -> object:
        """Count ``n`` more units as done."""

    def set_postfix_str(self, text: str) -> object:
        """Show ``text`` behind the bar, in place of what was there, when it is next drawn."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class _HiddenBar:
    """A bar that nobody sees."""

    __slots__ = ()

    def update(self, n: float = 1) -> None:
        pass

    def set_postfix_str(self, text: str) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


_HIDDEN_BAR = _HiddenBar()


def progress_bar(
    total: float | None, description: str, unit: str = "it", show: bool | None = None
) -> ProgressBar:
    """A progress bar, for use in a ``with`` statement.

    Parameters
    ----------
    total : float or None
        Number of units in all; None where it is not known.
    description : str
        What stands before the bar.
    unit : str, default="it"
        What is counted, such as ``"epoch"``. ``"B"`` is shown in kB, MB, GB.
    show : bool, default=None
        Whether the bar is shown; None stands for the option ``progress``.

    Returns
    -------
    bar : ProgressBar
        Call ``bar.update(n)`` for every ``n`` units done.
    """
    if not (get_config()["progress"] if show is None else show):
        return _HIDDEN_BAR
    from tqdm.auto import tqdm

    class Bar(tqdm):
        """Redrawn as often as tqdm sees fit, not whenever what stands behind it changes."""

        def set_postfix_str(self, text):
            super().set_postfix_str(text, refresh=False)

    return Bar(total=total, desc=description, unit=unit, unit_scale=unit == "B")
