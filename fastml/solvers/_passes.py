"""Searches for the weights of several models, which share their passes over X.

A search is a generator, written as if there were one model and no other: where it needs the rows it yields what it
wants to know of them (`Evaluate`, `Product` or `Hessian`), and is sent the answer. `run` takes the requests of all
searches that are under way and answers those of a kind in one pass over X.
"""

from collections.abc import Callable, Generator, Iterable
from typing import Any, NamedTuple

import numpy as np

from fastml._csr import CSR
from fastml._progress import progress_bar
from fastml.kernels import for_device
from fastml.kernels.glm_data import Data, Rule, new_models

# Products of an element of X with a column of weights that one call of a kernel may be asked for: some tenths of a
# second, in which Ctrl-C is not heard. CSR's are dearer.
DENSE_WORK_PER_CALL = 10_000_000_000
SPARSE_WORK_PER_CALL = 100_000_000

# Bytes that all searches under way may hold; one always may.
MEMORY = 500_000_000


class Evaluate(NamedTuple):
    """Ask for the loss (summed over the rows) and its gradient; answered by the two.

    Attributes
    ----------
    weights : ndarray of shape (n_columns, n_features + 1)
    keep : bool
        Whether products with the Hessian at these weights are to follow.
    """

    weights: np.ndarray
    keep: bool = False


class Product(NamedTuple):
    """Ask for the product of ``vector``, shaped as weights, with the Hessian at the weights last kept."""

    vector: np.ndarray


class Hessian(NamedTuple):
    """Ask for the Hessian at the weights last kept."""


Request = Evaluate | Product | Hessian
Search = Generator[Request, Any, Any]


def means(n_features: int) -> Generator[Any, Any, tuple[np.ndarray, float]]:
    """Weighted means of the features, and the sum of weights: the squared loss's Hessian has both in its last row."""
    vector = np.zeros((1, n_features + 1))
    vector[0, -1] = 1.0
    sums = yield Product(vector)
    total = float(sums[0, -1])
    return sums[0, :-1] / total, total


class Model(NamedTuple):
    """One model of a run.

    Attributes
    ----------
    search : callable
        Makes the search. Called when its turn has come: a search may hold as much as the weights many times over.
    positive_class, target, weighting : int
        As in ``fastml.kernels.glm_data.MODEL``.
    """

    search: Callable[[], Search]
    positive_class: int = 1
    target: int = 0
    weighting: int = -1


def run(
    data: Data,
    rule: Rule,
    models: Iterable[Model],
    *,
    bytes_per_search: int,
    device: str = "cpu",
    description: str,
    verbose: bool = False,
) -> list[Any]:
    """Drive searches to their ends.

    Parameters
    ----------
    data : Data
        On the device.
    rule : Rule
    models : iterable of Model
    bytes_per_search : int
        What a search holds at once, so that not too many are under way.
    device : {"cpu", "cuda", "reference"}
    description : str
        Of the progress bar, which counts passes over X.
    verbose : bool
        Whether to show the bar whatever the option ``progress`` says.

    Returns
    -------
    list
        What the searches return, in the order of ``models``.
    """
    models = list(models)
    results: list[Any] = [None] * len(models)
    n_slots = max(1, min(len(models), MEMORY // max(bytes_per_search, 1)))
    passes = _Passes(data, rule, n_slots, device)
    free, waiting = list(range(n_slots)), list(enumerate(models))[::-1]
    under_way: dict[int, tuple[int, Search]] = {}  # slot -> number of the model, search
    requests: dict[int, Request] = {}
    answers: dict[int, Any] = {}
    with progress_bar(None, description, unit="pass", show=True if verbose else None) as bar:
        while waiting or under_way:
            while waiting and free:
                number, model = waiting.pop()
                slot = free.pop()
                passes.take(slot, model)
                under_way[slot], answers[slot] = (number, model.search()), None
            for slot, answer in answers.items():
                number, search = under_way[slot]
                try:
                    requests[slot] = search.send(answer)
                except StopIteration as end:
                    results[number] = end.value
                    del under_way[slot]
                    free.append(slot)
            answers = passes.answer(requests)
            requests = {}
            if answers:
                bar.update(1)
                bar.set_postfix_str(f"{len(under_way) + len(waiting)} model(s) left")
    return results


class _Passes:
    """Room for what goes to the kernels and comes back, one slot per search under way."""

    def __init__(self, data: Data, rule: Rule, n_slots: int, device: str):
        self.data, self.rule = data, rule
        self.glm, self.arrays = for_device(device).glm, for_device(device).arrays
        self.n_columns, self.n_weights = rule.n_columns, data.X.shape[1] + 1
        self.models = new_models(n_slots)
        self.models["active"] = 0
        shape = (n_slots * rule.n_columns, self.n_weights)
        # On the CPU these are the kernels' own arrays; elsewhere copies go to and fro.
        self.given = np.zeros(shape)
        self.received, self.value = self.arrays.send(np.zeros(shape)), self.arrays.send(np.zeros(n_slots))
        self.prediction: Any = None
        sparse = isinstance(data.X, CSR)
        work = (data.X.data.size if sparse else data.X.shape[0] * data.X.shape[1]) * rule.n_columns
        limit = SPARSE_WORK_PER_CALL if sparse else DENSE_WORK_PER_CALL
        self.per_call = max(1, limit // max(work, 1))

    def take(self, slot: int, model: Model) -> None:
        record = self.models[slot]
        record["positive_class"] = model.positive_class
        record["target"], record["weighting"] = model.target, model.weighting

    def answer(self, requests: dict[int, Request]) -> dict[int, Any]:
        answers: dict[int, Any] = {}
        evaluations = [slot for slot, request in requests.items() if type(request) is Evaluate]
        if evaluations:
            keep = [slot for slot in evaluations if requests[slot].keep]  # type: ignore[union-attr]
            for slots, kept in ((keep, True), ([s for s in evaluations if s not in keep], False)):
                for some in self._calls(slots):
                    self._evaluate({s: requests[s].weights for s in some}, kept, answers)  # type: ignore[union-attr]
        if len(answers) < len(requests):
            products = [slot for slot, request in requests.items() if type(request) is Product]
            for some in self._calls(products):
                self._multiply({s: requests[s].vector for s in some}, answers)  # type: ignore[union-attr]
            for slot, request in requests.items():
                if type(request) is Hessian:
                    answers[slot] = self._hessian(slot)
        return answers

    def _calls(self, slots: list[int]) -> Iterable[list[int]]:
        return (slots[i : i + self.per_call] for i in range(0, len(slots), self.per_call))

    def _block(self, slot: int) -> slice:
        return slice(slot * self.n_columns, (slot + 1) * self.n_columns)

    def _evaluate(self, weights: dict[int, np.ndarray], keep: bool, answers: dict[int, Any]) -> None:
        if keep and self.prediction is None:
            self.prediction = self.glm.prediction_like(self.data, self.rule, len(self.models))
        self._give(weights)
        self.glm.evaluate(
            self.data,
            self.rule,
            self.models,
            self.arrays.send(self.given),
            self.value,
            self.received,
            self.prediction if keep else None,
        )
        values, gradients = self.arrays.fetch(self.value), self.arrays.fetch(self.received)
        for slot in weights:
            answers[slot] = float(values[slot]), self._taken(gradients, slot)

    def _multiply(self, vectors: dict[int, np.ndarray], answers: dict[int, Any]) -> None:
        self._give(vectors)
        self.glm.hessian_product(
            self.data,
            self.rule,
            self.models,
            self.prediction,
            self.arrays.send(self.given),
            self.received,
        )
        products = self.arrays.fetch(self.received)
        for slot in vectors:
            answers[slot] = self._taken(products, slot)

    def _give(self, arrays: dict[int, np.ndarray]) -> None:
        self.models["active"] = 0
        for slot, array in arrays.items():
            self.given[self._block(slot)] = array
            self.models["active"][slot] = 1

    def _taken(self, received: np.ndarray, slot: int) -> np.ndarray:
        self.models["active"][slot] = 0
        return received[self._block(slot)].copy()

    def _hessian(self, slot: int) -> np.ndarray:
        size = self.n_columns * self.n_weights
        out = self.arrays.empty((size, size), np.float64)
        model = self.models[slot : slot + 1].copy()
        model["active"] = 1
        self.glm.hessian(self.data, self.rule, model, self._prediction_of(slot), out)
        return self.arrays.fetch(out)

    def _prediction_of(self, slot: int) -> Any:
        return None if self.prediction is None else self.prediction[self._block(slot)]
