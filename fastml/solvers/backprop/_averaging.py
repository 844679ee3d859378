"""Moving averages of weights: what an optimizer keeps beside them, and may put in their place."""

from typing import Any, NamedTuple


class Averaging(NamedTuple):
    """How weights are averaged over the steps.

    Attributes
    ----------
    momentum : float
        How much of the average stays in a step. The first one's average is the weights.
    overwrite_frequency : int or None
        After every so many steps the weights become their average. None: never.
    """

    momentum: float = 0.99
    overwrite_frequency: int | None = None

    def update(self, weights: Any, average: Any, n_updates: int) -> None:
        """After a step: ``n_updates`` came before it. Both arrays are changed in place, on whatever device."""
        # In the arrays' own type, as what stays and what comes must sum up to 1.
        kept = average.dtype.type(self.momentum if n_updates else 0.0)
        average *= kept
        average += (1 - kept) * weights
        if self.overwrite_frequency and (n_updates + 1) % self.overwrite_frequency == 0:
            weights[...] = average
