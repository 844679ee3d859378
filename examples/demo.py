"""Train fastml's classifiers on MNIST beside their peers': one table, one picture.

    python examples/demo.py [--short] [--output demo.png]

Both sides get the same constructor arguments and the same rows, the peer besides that as many jobs as serve
it. MNIST comes from `fastml.datasets.load_mnist`. On a machine that neither has it nor can download it, the
digits that ship in scikit-learn take its place, and the table's heading says so.
"""

import argparse
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import joblib
import numpy as np
import sklearn
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from tqdm import tqdm

from fastml.datasets import load_mnist
from fastml.exceptions import DatasetUnavailableError

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure


class Peer(NamedTuple):
    """A package that has the same estimators, under the same names, in the same modules; or what does as they do."""

    name: str
    package: str
    estimator: Callable[..., Any] | None = None


class Workload(NamedTuple):
    """One estimator, and how many training rows it gets."""

    label: str
    module: str
    estimator: str
    params: dict[str, Any]
    rows: int
    short_rows: int
    fastest_peer: Peer | None = None  # where one is faster than scikit-learn: compared too, if installed
    takes_jobs: bool = True  # False: its n_jobs has no effect, and is deprecated
    other_peers: tuple[Peer, ...] = ()  # for what scikit-learn does not have: the first that is installed
    takes_images: bool = False


class KerasCNN:
    """`CNNClassifier`'s network in TensorFlow."""

    def __init__(self, epochs: int, batch_size: int, random_state: int):
        self.epochs, self.batch_size, self.random_state = epochs, batch_size, random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> "KerasCNN":
        from tensorflow import keras

        keras.utils.set_random_seed(self.random_state)
        self.model = keras.Sequential(
            [
                keras.Input((*X.shape[1:], 1)),
                keras.layers.Conv2D(32, 3, activation="relu"),
                keras.layers.MaxPooling2D(2),
                keras.layers.Flatten(),
                keras.layers.Dense(128, activation="relu"),
                keras.layers.Dense(int(y.max()) + 1, activation="softmax"),
            ]
        )
        self.model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        self.model.fit(X[..., None], y, batch_size=self.batch_size, epochs=self.epochs, verbose=0)
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        return self.model.predict(X[..., None], batch_size=256, verbose=0).argmax(axis=1)


class TorchCNN:
    """`CNNClassifier`'s network in PyTorch: tensors in memory, fused Adam."""

    def __init__(self, epochs: int, batch_size: int, random_state: int):
        self.epochs, self.batch_size, self.random_state = epochs, batch_size, random_state

    def fit(self, X: np.ndarray, y: np.ndarray) -> "TorchCNN":
        import torch
        from torch import nn

        torch.manual_seed(self.random_state)
        inputs, labels = torch.from_numpy(X[:, None]), torch.from_numpy(y.astype(np.int64))
        layers = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
        layers += [nn.LazyLinear(128), nn.ReLU(), nn.Linear(128, int(y.max()) + 1)]
        self.model = nn.Sequential(*layers)
        self.model(inputs[:1])
        optimizer = torch.optim.Adam(self.model.parameters(), fused=True)
        for _ in range(self.epochs):
            for rows in torch.randperm(len(X)).split(self.batch_size):
                optimizer.zero_grad()
                nn.functional.cross_entropy(self.model(inputs[rows]), labels[rows]).backward()
                optimizer.step()
        return self

    def predict(self, X: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self.model(torch.from_numpy(X[:, None])).argmax(axis=1).numpy()


SCIKIT_LEARN = Peer("scikit-learn", "sklearn")
INTELEX = Peer("scikit-learn-intelex", "sklearnex")
NETWORKS = (Peer("TensorFlow", "tensorflow", KerasCNN), Peer("PyTorch", "torch", TorchCNN))

EPOCHS = {"max_iter": 5, "tol": None, "random_state": 0}  # the same work on both sides: no early stop
LOG_LOSS = {"loss": "log_loss"} | EPOCHS
RBF = {"C": 10, "gamma": 0.02}
NU_RBF = {"nu": 0.1, "gamma": 0.02}
GRID = {"Cs": 3, "cv": 3, "l1_ratios": (0,), "scoring": "accuracy", "use_legacy_attributes": False}
MLP = {"hidden_layer_sizes": (128,), "batch_size": 64, "max_iter": 10, "random_state": 0}
CNN = {"epochs": 1, "batch_size": 128, "random_state": 0}
PA1 = {"learning_rate": "pa1", "penalty": None, "eta0": 1.0} | EPOCHS

# label, module, estimator, parameters, rows, rows with --short
WORKLOADS = (
    Workload("SGDClassifier", "linear_model", "SGDClassifier", EPOCHS, 60_000, 10_000),
    Workload("SGDClassifier(log_loss)", "linear_model", "SGDClassifier", LOG_LOSS, 60_000, 10_000),
    Workload("SGDClassifier(pa1)", "linear_model", "SGDClassifier", PA1, 60_000, 10_000),
    Workload("Perceptron", "linear_model", "Perceptron", EPOCHS, 60_000, 10_000),
    Workload("LogisticRegression", "linear_model", "LogisticRegression", {}, 60_000, 5_000, takes_jobs=False),
    Workload("RidgeClassifier", "linear_model", "RidgeClassifier", {}, 60_000, 5_000),
    # scikit-learn would take minutes for all rows of these.
    Workload("LogisticRegressionCV", "linear_model", "LogisticRegressionCV", GRID, 5_000, 1_000),
    Workload("RidgeClassifierCV", "linear_model", "RidgeClassifierCV", {}, 5_000, 1_000),
    Workload("LinearSVC", "svm", "LinearSVC", {"random_state": 0}, 5_000, 1_000),
    Workload("SVC", "svm", "SVC", RBF, 10_000, 2_000, fastest_peer=INTELEX),
    Workload("NuSVC", "svm", "NuSVC", NU_RBF, 4_000, 1_000, fastest_peer=INTELEX),
    Workload("MLPClassifier", "neural_network", "MLPClassifier", MLP, 20_000, 2_000),
    Workload(
        *("CNNClassifier", "neural_network", "CNNClassifier", CNN, 60_000, 5_000),
        other_peers=NETWORKS,
        takes_images=True,
    ),
)

ROUNDS = 2  # fits of each side, taking turns; the fastest counts; one with --short
WARM_UP_ROWS = 500
# With fewer values than this the peer's jobs cost more than they save: on scikit-learn's digits
# SGDClassifier takes 13 ms with one job, 27 ms with two.
MIN_VALUES_FOR_JOBS = 1_000_000


class Data(NamedTuple):
    """Images as rows, and what the table and the picture call them."""

    name: str
    heading: str
    image_shape: tuple[int, int]
    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


class Fit(NamedTuple):
    """One fit: its wall time, and what the fitted estimator makes of the test images."""

    seconds: float
    predictions: np.ndarray
    accuracy: float


class Comparison(NamedTuple):
    """One line of the table: the fastest fit of each side; None where no peer is installed."""

    label: str
    peer: str
    rows: int
    ours: Fit
    theirs: Fit | None

    @property
    def ratio(self) -> float | None:
        return None if self.theirs is None else self.theirs.seconds / self.ours.seconds


def load_data() -> Data:
    """MNIST, or scikit-learn's digits on a machine that neither has it nor can download it.

    With ``FASTML_DATA`` set it is MNIST or an error: `load_mnist` then downloads nothing, and only a failed
    download leads to the digits.
    """
    try:
        mnist = load_mnist()
    except DatasetUnavailableError as error:
        print(f"{error}\nUsing the digits that ship in scikit-learn instead.", file=sys.stderr)
        return digits_data("neither in the cache nor to be downloaded")
    arrays = mnist.X_train, mnist.y_train, mnist.X_test, mnist.y_test
    origin = {"FASTML_DATA": "FASTML_DATA", "cache": "the cache", "download": "its mirror"}[mnist.source]
    return Data("MNIST", f"MNIST: {count_images(*arrays[1::2])}, from {origin}", (28, 28), *arrays)


def digits_data(reason: str) -> Data:
    """Split scikit-learn's digits, scaled to 0..1 as MNIST is; `reason` says why it isn't MNIST."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        (X / 16).astype(np.float32), y, test_size=0.25, stratify=y, random_state=0
    )
    name = "scikit-learn digits"
    heading = f"{name} (MNIST not available: {reason}): {count_images(y_train, y_test)}"
    return Data(name, heading, (8, 8), X_train, y_train, X_test, y_test)


def count_images(y_train: np.ndarray, y_test: np.ndarray) -> str:
    return f"{len(y_train):,} training and {len(y_test):,} test images"


def compare_all(data: Data, *, short: bool) -> list[Comparison]:
    """Run every workload, its fits counted off on a progress bar."""
    rounds = n_rounds(short)
    n_fits = sum(rounds * (1 + len(installed_peers(workload))) for workload in WORKLOADS)
    comparisons = []
    with tqdm(total=n_fits, unit="fit") as progress:
        for workload in WORKLOADS:
            rows = min(workload.short_rows if short else workload.rows, len(data.X_train))
            comparisons += compare(workload, data, rows, rounds, progress)
    return comparisons


def n_rounds(short: bool) -> int:
    return 1 if short else ROUNDS


def compare(workload: Workload, data: Data, rows: int, rounds: int, progress: tqdm) -> list[Comparison]:
    """Fit a workload in fastml and in its peers, taking turns: a line per peer."""
    peers = installed_peers(workload)
    n_jobs = peer_jobs(rows * data.X_train.shape[1], n_classes=len(np.unique(data.y_train)))
    if workload.takes_images:
        X_train, X_test = (X.reshape(-1, *data.image_shape) for X in (data.X_train, data.X_test))
        data = data._replace(X_train=X_train, X_test=X_test)
    jobs = {"fastml": None} | {peer.package: n_jobs for peer in peers}
    for package in jobs:
        timed_fit(build(workload, package), data, WARM_UP_ROWS)

    fastest: dict[str, Fit] = {}
    for _ in range(rounds):
        for package, n_jobs in jobs.items():
            progress.set_description(f"{workload.label}, {package}")
            fit = timed_fit(build(workload, package, n_jobs), data, rows)
            fastest[package] = min(fastest.get(package, fit), fit, key=lambda fit: fit.seconds)
            progress.update()
    if not peers:
        return [Comparison(workload.label, "-", rows, fastest["fastml"], None)]
    return [
        Comparison(workload.label, peer.name, rows, fastest["fastml"], fastest[peer.package])
        for peer in peers
    ]


def installed_peers(workload: Workload) -> list[Peer]:
    """scikit-learn, and the workload's fastest peer where there is one and it is installed; or one of the others."""
    if workload.other_peers:
        return [peer for peer in workload.other_peers if find_spec(peer.package) is not None][:1]
    fastest = workload.fastest_peer
    if fastest is None or find_spec(fastest.package) is None:
        return [SCIKIT_LEARN]
    return [SCIKIT_LEARN, fastest]


def build(workload: Workload, package: str, n_jobs: int | None = None) -> ClassifierMixin:
    """The workload's estimator from `package`, with `n_jobs` jobs where it takes them."""
    for peer in workload.other_peers:
        if peer.package == package:
            return peer.estimator(**workload.params)
    module = importlib.import_module(f"{package}.{workload.module}")
    estimator = getattr(module, workload.estimator)(**workload.params)
    takes_jobs = workload.takes_jobs and "n_jobs" in estimator.get_params()
    return estimator.set_params(n_jobs=n_jobs) if takes_jobs else estimator


def peer_jobs(n_values: int, n_classes: int) -> int | None:
    """The number of jobs that serves a one-vs-rest peer best."""
    return min(joblib.cpu_count(), n_classes) if n_values >= MIN_VALUES_FOR_JOBS else None


def timed_fit(estimator: ClassifierMixin, data: Data, rows: int) -> Fit:
    X, y = data.X_train[:rows], data.y_train[:rows]
    with warnings.catch_warnings(
        action="ignore", category=ConvergenceWarning
    ):  # as many iterations on both sides
        start = perf_counter()
        estimator.fit(X, y)
        seconds = perf_counter() - start
    predictions = estimator.predict(data.X_test)
    return Fit(seconds, predictions, accuracy=float(np.mean(predictions == data.y_test)))


HEADER = ("estimator", "beside", "rows", "fit ours", "theirs", "ratio", "accuracy ours", "theirs")


def format_table(heading: str, comparisons: Sequence[Comparison]) -> str:
    """Lay out the comparisons below their heading: text to the left, numbers to the right."""
    lines = [HEADER, *map(format_line, comparisons)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    texts = [
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths))
        ).rstrip()
        for line in lines
    ]
    rule = "-" * max(map(len, texts))
    return "\n".join([heading, rule, texts[0], rule, *texts[1:], rule])


def format_line(comparison: Comparison) -> tuple[str, ...]:
    ours, theirs = comparison.ours, comparison.theirs
    return (
        comparison.label,
        comparison.peer,
        f"{comparison.rows:,}",
        f"{ours.seconds:.3f} s",
        "-" if theirs is None else f"{theirs.seconds:.3f} s",
        "-" if theirs is None else f"{comparison.ratio:.1f}x",
        f"{ours.accuracy:.2%}",
        "-" if theirs is None else f"{theirs.accuracy:.2%}",
    )


INK, MUTED, ACCENT, MISTAKE = "#1f2933", "#7b8794", "#2a78b5", "#c8102e"


def draw(data: Data, comparisons: Sequence[Comparison]) -> "Figure":
    """Draw the ratios as bars, and beside them digits that the most accurate fit of ours got wrong."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 6.8), dpi=150, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.15, h_pad=0.1)
    figure.suptitle(f"fastml beside its peers on {data.name}", fontsize=18, fontweight="bold", color=INK)
    left, right = figure.subfigures(1, 2, width_ratios=(1.25, 1))
    draw_ratios(left, [comparison for comparison in comparisons if comparison.theirs is not None])
    draw_mistakes(right, data, max(comparisons, key=lambda comparison: comparison.ours.accuracy))
    return figure


def draw_ratios(panel: "SubFigure", comparisons: Sequence[Comparison]) -> None:
    panel.suptitle("fit: how many times sooner", fontsize=13, color=INK)
    axes = panel.subplots()
    positions = range(len(comparisons))
    ratios = [comparison.ratio for comparison in comparisons]
    axes.barh(positions, ratios, height=0.55, color=ACCENT)
    axes.axvline(1, color=MUTED, linestyle="--", linewidth=1)
    for position, comparison in enumerate(comparisons):
        seconds = f"{comparison.ours.seconds:.3f} s, not {comparison.theirs.seconds:.3f} s"
        axes.annotate(
            f"{comparison.ratio:.1f}x\n{seconds}",
            (comparison.ratio, position),
            xytext=(8, 0),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=10,
            color=INK,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # the dashed line may pass here
        )
    labels = [f"{comparison.label}\nbeside {comparison.peer}" for comparison in comparisons]
    axes.set_yticks(positions, labels, fontsize=10, color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.4 * max([1.0, *ratios]))  # room for the text after the longest bar
    axes.set_xlabel("the peer's time / fastml's time (dashed: equal)", color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def draw_mistakes(panel: "SubFigure", data: Data, comparison: Comparison) -> None:
    predictions = comparison.ours.predictions
    mistakes = np.flatnonzero(predictions != data.y_test)
    counts = f"{len(mistakes):,} of {len(data.y_test):,}"
    panel.suptitle(f"misclassified by {comparison.label}: {counts}", fontsize=13, color=INK)
    grid = panel.subplots(4, 5).ravel()
    for axes in grid:
        axes.set_axis_off()
    for axes, index in zip(grid, mistakes):
        axes.imshow(data.X_test[index].reshape(data.image_shape), cmap="gray_r", vmin=0, vmax=1)
        axes.set_title(f"said {predictions[index]}, is {data.y_test[index]}", fontsize=10, color=MISTAKE)


def write_picture(path: Path, data: Data, comparisons: Sequence[Comparison]) -> str:
    """Write the PNG, if matplotlib is there, and say in one line what was done."""
    if find_spec("matplotlib") is None:
        return f"{path} was not written: it needs matplotlib (pip install fastml[plot])"
    draw(data, comparisons).savefig(path)
    return f"wrote {path}"


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train fastml's classifiers beside their peers'.")
    parser.add_argument("--short", action="store_true", help="fewer training rows, one fit each")
    parser.add_argument(
        "--output", type=Path, default=Path("demo.png"), help="the picture (default: %(default)s)"
    )
    options = parser.parse_args(arguments)
    # Better now than after minutes of training.
    if not options.output.parent.is_dir():
        parser.error(f"--output: there is no directory {options.output.parent}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse_arguments(arguments)
    try:
        data = load_data()
    except (OSError, ValueError) as error:
        print(f"MNIST cannot be used: {error}", file=sys.stderr)
        return 1
    comparisons = compare_all(data, short=options.short)
    print(f"\n{format_table(data.heading, comparisons)}")
    fastest_of = f"fit: wall time, fastest of {n_rounds(options.short)}"
    print(f"{fastest_of}; {joblib.cpu_count()} cores; scikit-learn {sklearn.__version__}")
    print(write_picture(options.output, data, comparisons))
    return 0


if __name__ == "__main__":
    sys.exit(main())
