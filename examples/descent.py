"""Five ways down the same hill: loss against passes over the data, and against seconds.

    python examples/descent.py [--passes 100] [--rows 60000] [--output descent.png]

Logistic regression of two classes by gradient descent, Nesterov's accelerated descent, L-BFGS, SGD and SAGA, all from
zero weights on: even digits against odd ones (MNIST, dense), and incomes above 50,000 dollars (a9a of LIBSVM's
collection, sparse; read from the folder ``FASTML_DATA``, left out where it is not there). docs/descent.md explains
the picture.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.datasets import load_digits, load_svmlight_file
from sklearn.exceptions import ConvergenceWarning

from fastml._csr import CSR
from fastml.datasets import load_mnist
from fastml.exceptions import DatasetUnavailableError
from fastml.kernels import for_device
from fastml.kernels.glm_data import Data, Rule, new_models
from fastml.linear_model import LogisticRegression, SGDClassifier
from fastml.solvers import gradient_descent, lbfgs
from fastml.solvers._objective import Objective

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALPHA = 1e-4  # of the penalty: the objective is the mean loss + ALPHA / 2 |coef|^2
SAGA_EPOCHS = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 100)


class Problem(NamedTuple):
    """Rows, and labels of -1 or 1."""

    name: str
    X: Any
    y: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.X.shape


class Trace(NamedTuple):
    """How low a solver was after so many passes over the data: one point a pass, or an epoch."""

    name: str
    passes: np.ndarray
    seconds: np.ndarray
    loss: np.ndarray


Search = Generator[Any, Any, Any]


def search_of(solver: Callable[..., Search], problem: Problem, tol: float, max_iter: int) -> Search:
    n, n_features = problem.shape
    objective = Objective(1.0 / n, ALPHA, 1, n_features, True, problem.X.dtype)
    return solver(objective, np.zeros(objective.shape), tol=tol, max_iter=max_iter)


def follow(name: str, solver: Callable[..., Search], problem: Problem, n_passes: int) -> Trace:
    """Answer what a solver asks, one pass over the data for each question, and write down what it learns.

    A solver of batches is a generator. It yields weights, and is sent the loss there and its gradient: all that it
    ever knows of the data.
    """
    glm, models = for_device("cpu").glm, new_models(1)
    data = Data(in_rows(problem.X), problem.y.astype(np.int32))
    value, gradient = np.empty(1), np.empty((1, problem.shape[1] + 1))
    search = search_of(solver, problem, 0.0, n_passes)
    seconds, loss, start = [], [], perf_counter()
    try:
        question = next(search)
        while len(loss) < n_passes:
            glm.evaluate(data, Rule("log_loss"), models, question.weights, value, gradient)
            seconds.append(perf_counter() - start)
            penalty = 0.5 * ALPHA * float(np.square(question.weights[:, :-1]).sum())
            loss.append(float(value[0]) / problem.shape[0] + penalty)
            question = search.send((float(value[0]), gradient.copy()))
    except StopIteration:
        pass  # no step leads further down
    # Some questions are trials of a step, which turns out to be too long.
    return Trace(name, np.arange(1, len(loss) + 1), np.array(seconds), np.minimum.accumulate(loss))


def sgd_trace(problem: Problem, n_passes: int) -> Trace:
    """SGD with steps of 1 / sqrt(t), epoch by epoch; an epoch takes every row once, in random order."""
    model = SGDClassifier(
        loss="log_loss", alpha=ALPHA, learning_rate="invscaling", eta0=1.0, power_t=0.5, random_state=0
    )
    seconds, loss, spent = [], [], 0.0
    for _ in range(n_passes):
        start = perf_counter()
        model.partial_fit(problem.X, problem.y, classes=[-1, 1])
        spent += perf_counter() - start
        seconds.append(spent)
        loss.append(loss_at(problem, model.coef_[0], float(model.intercept_[0])))
    return Trace("SGD", np.arange(1, n_passes + 1), np.array(seconds), np.array(loss))


def saga_trace(problem: Problem, n_passes: int) -> Trace:
    """SAGA: fits of more and more epochs, which begin alike, since they draw rows alike."""
    epochs = [n for n in SAGA_EPOCHS if n <= n_passes]
    seconds, loss = [], []
    for n in epochs:
        model = LogisticRegression(
            solver="saga", C=1.0 / (ALPHA * problem.shape[0]), tol=0.0, max_iter=n, random_state=0
        )
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):  # on purpose
            start = perf_counter()
            model.fit(problem.X, problem.y)
            seconds.append(perf_counter() - start)
        loss.append(loss_at(problem, model.coef_[0], float(model.intercept_[0])))
    return Trace("SAGA", np.array(epochs), np.array(seconds), np.array(loss))


def loss_at(problem: Problem, coef: np.ndarray, intercept: float) -> float:
    """The objective, in float64."""
    coef = coef.astype(np.float64)
    margins = problem.y * (problem.X @ coef + intercept)
    return float(np.logaddexp(0.0, -margins).mean() + 0.5 * ALPHA * (coef @ coef))


def lowest_loss(problem: Problem) -> float:
    """The minimum, by Newton's method in float64."""
    exact = problem._replace(X=problem.X.astype(np.float64))
    n = problem.shape[0]
    model = LogisticRegression(solver="newton-cholesky", C=1.0 / (ALPHA * n), tol=1e-10)
    model.fit(exact.X, exact.y)
    return loss_at(exact, model.coef_[0], float(model.intercept_[0]))


def in_rows(X: Any) -> Any:
    """As the kernels take it."""
    return CSR(X.data, X.indices, X.indptr, X.shape) if sparse.issparse(X) else X


def all_traces(problem: Problem, n_passes: int) -> list[Trace]:
    batch = {
        "gradient descent": gradient_descent.plain,
        "accelerated": gradient_descent.accelerated,
        "L-BFGS": lbfgs.search,
    }
    followed = [follow(name, solver, problem, n_passes) for name, solver in batch.items()]
    return [*followed, sgd_trace(problem, n_passes), saga_trace(problem, n_passes)]


def load_problems(n_rows: int) -> list[Problem]:
    problems = []
    try:
        (X, y), _ = load_mnist(return_X_y=True)
        problems.append(Problem("MNIST, even or odd", X[:n_rows], np.where(y[:n_rows] % 2, 1, -1)))
    except DatasetUnavailableError as error:
        print(f"{error}\nUsing the digits that ship in scikit-learn instead.", file=sys.stderr)
        X, y = load_digits(return_X_y=True)
        X = (X / 16).astype(np.float32)
        problems.append(Problem("digits, even or odd", X[:n_rows], np.where(y[:n_rows] % 2, 1, -1)))
    path = Path(os.environ.get("FASTML_DATA", "")) / "a9a.svm.gz"
    if path.is_file():
        X, y = load_svmlight_file(str(path), n_features=123)
        problems.append(Problem("a9a", X[:n_rows], y[:n_rows].astype(int)))
    else:
        print("a9a is left out: FASTML_DATA names no folder that has a9a.svm.gz.", file=sys.stderr)
    return problems


COLOURS = {
    "gradient descent": "#7b8794",
    "accelerated": "#2a78b5",
    "L-BFGS": "#1f2933",
    "SGD": "#c8102e",
    "SAGA": "#e08a1e",
}


def draw(problems: Sequence[Problem], traces: Sequence[list[Trace]], lowest: Sequence[float]) -> "Figure":
    """A line of two charts for each data set: the same traces by passes and by seconds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2 * len(problems)), layout="constrained", facecolor="white")
    grid = figure.subplots(len(problems), 2, squeeze=False, sharey="row")
    for (by_passes, by_seconds), problem, of_problem, minimum in zip(grid, problems, traces, lowest):
        for trace in of_problem:
            gap = np.maximum(trace.loss - minimum, 1e-9)
            style = {"color": COLOURS[trace.name], "linewidth": 1.8, "label": trace.name}
            by_passes.plot(trace.passes, gap, **style)
            by_seconds.plot(trace.seconds, gap, **style)
        by_passes.set_ylabel("loss above its minimum")
        by_passes.set_xlabel("passes over the data")
        by_seconds.set_xlabel("seconds")
        by_seconds.set_xscale("log")
        n, n_features = problem.shape
        by_passes.set_title(f"{problem.name}: {n:,} rows × {n_features}", loc="left", fontsize=11)
        for axes in (by_passes, by_seconds):
            axes.set_yscale("log")
            axes.spines[["top", "right"]].set_visible(False)
            axes.grid(alpha=0.25)
    grid[0, 1].legend(frameon=False)
    return figure


def table(problem: Problem, traces: Sequence[Trace], minimum: float) -> str:
    """Passes and seconds until the loss is within a thousandth, and a millionth, of its minimum."""
    lines = [f"{problem.name}: minimum {minimum:.6f}"]
    for trace in traces:
        cells = [f"  {trace.name:<18}"]
        for share in (1e-3, 1e-6):
            near = np.flatnonzero(trace.loss <= minimum * (1.0 + share))
            reached = (
                f"{trace.passes[near[0]]:>4} passes, {trace.seconds[near[0]]:.3f} s" if near.size else "-"
            )
            cells.append(f"within {share:g}: {reached:<22}")
        lines.append("".join(cells).rstrip())
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passes", type=int, default=100, help="over the data, of each solver")
    parser.add_argument("--rows", type=int, default=60_000, help="of each data set, at most")
    parser.add_argument("--output", type=Path, default=Path("descent.png"), help="the picture")
    options = parser.parse_args(arguments)
    if not options.output.parent.is_dir():
        parser.error(f"--output: there is no directory {options.output.parent}")
    problems = load_problems(options.rows)
    traces, lowest = [], []
    for problem in problems:
        lowest.append(lowest_loss(problem))
        all_traces(problem._replace(X=problem.X[:200], y=problem.y[:200]), 2)  # whatever is done only once
        traces.append(all_traces(problem, options.passes))
        print(table(problem, traces[-1], lowest[-1]))
    draw(problems, traces, lowest).savefig(options.output, dpi=80)
    print(f"wrote {options.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
