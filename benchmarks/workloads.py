"""The work that is timed: its data, its estimator, and the peer's best setting.

``FASTML_BENCH_SCALE=0.01`` takes that share of the rows, to try the benchmarks out; results are only reported
at full scale.
"""

import importlib
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse
from sklearn.datasets import load_digits, load_iris, load_svmlight_file, make_classification

SCALE = float(os.environ.get("FASTML_BENCH_SCALE", "1"))
N_THREADS = 2


class Data(NamedTuple):
    """Training data and, where the workload has some, test data."""

    X: Any
    y: np.ndarray
    X_test: np.ndarray | None = None
    y_test: np.ndarray | None = None


class Workload(NamedTuple):
    """One estimator on one data set.

    Attributes
    ----------
    name : str
    title : str
        Estimator and data, as a reader of the table wants them.
    load : callable
        ``load() -> Data``, the same every time.
    estimator : str
        In the module ``family`` of both packages.
    params : dict
        For both.
    peer_jobs : int or None
        ``n_jobs`` with which scikit-learn is fastest on two cores; more than None pays only with many classes.
    rounds : int
        Fits of each side.
    statistic : {"best", "median"}
        Which of them counts; the median for fits so short that the best one is luck.
    family : str
    """

    name: str
    title: str
    load: Callable[[], Data]
    estimator: str
    params: dict[str, Any]
    peer_jobs: int | None = None
    rounds: int = 5
    statistic: str = "best"
    family: str = "linear_model"

    def build(self, package: str, **params: Any) -> Any:
        """The estimator from ``package``, "fastml" or a peer's, at that package's best setting."""
        module = importlib.import_module(f"{package}.{self.family}")
        jobs = {} if package == "fastml" or self.peer_jobs is None else {"n_jobs": self.peer_jobs}
        return getattr(module, self.estimator)(**{**self.params, **jobs, **params})


def scaled(n_rows: int) -> int:
    return max(100, round(SCALE * n_rows))


@lru_cache(maxsize=1)
def mnist() -> Data:
    from fastml.datasets import load_mnist

    (X, y), (X_test, y_test) = load_mnist(return_X_y=True)
    n_rows = scaled(len(X))
    return Data(X[:n_rows], y[:n_rows], X_test, y_test)


@lru_cache(maxsize=1)
def dense() -> Data:
    rng = np.random.default_rng(0)
    n_rows = scaled(1_000_000)
    X = rng.standard_normal((n_rows, 100), dtype="f")
    w = rng.standard_normal(100)
    return Data(X, X @ w + 3 * rng.standard_normal(n_rows) > 0)


@lru_cache(maxsize=1)
def dense_values() -> Data:
    """`dense`'s rows, with real targets."""
    rng = np.random.default_rng(0)
    n_rows = scaled(1_000_000)
    X = rng.standard_normal((n_rows, 100), dtype="f")
    return Data(X, X @ rng.standard_normal(100, dtype="f") + 3 * rng.standard_normal(n_rows, dtype="f"))


def iris_values() -> Data:
    X, y, *_ = iris()
    return Data(X, y.astype(np.float64))


@lru_cache(maxsize=1)
def csr() -> Data:
    """Rows of 50 draws among 100,000 columns, by Zipf's law; a column drawn twice in a row is summed."""
    rng = np.random.default_rng(0)
    n_rows, n_columns, n_draws = scaled(500_000), 100_000, 50
    values = rng.random(n_rows * n_draws, dtype="f")
    columns = (rng.zipf(1.3, size=n_rows * n_draws) % n_columns).astype(np.int32)
    row_starts = np.arange(0, n_rows * n_draws + 1, n_draws, dtype=np.int32)
    X = sparse.csr_matrix((values, columns, row_starts), shape=(n_rows, n_columns))
    X.sum_duplicates()
    w = rng.standard_normal(n_columns)
    return Data(X, X @ w + rng.standard_normal(n_rows) > 0)


@lru_cache(maxsize=1)
def a9a() -> Data:
    """The census data of LIBSVM's collection, CSR float64, all values 1; from the folder ``FASTML_DATA``."""
    X, y = load_svmlight_file(str(Path(os.environ["FASTML_DATA"]) / "a9a.svm.gz"), n_features=123)
    n_rows = scaled(26_000)
    return Data(X[:n_rows], y[:n_rows], X[26_000:], y[26_000:])


def dense_a9a() -> Data:
    X, y, X_test, y_test = a9a()
    return Data(X.toarray().astype(np.float32), y, X_test.toarray().astype(np.float32), y_test)


def mnist_10000() -> Data:
    X, y, X_test, y_test = mnist()
    return Data(X[:10_000], y[:10_000], X_test, y_test)


def mnist_5000() -> Data:
    X, y, X_test, y_test = mnist()
    return Data(X[:5_000], y[:5_000], X_test, y_test)


@lru_cache(maxsize=1)
def regression() -> Data:
    rng = np.random.default_rng(0)
    n_rows = scaled(20_000)
    X = rng.standard_normal((n_rows, 30), dtype="f")
    y = np.sin(X[:, 0]) + X[:, 1] ** 2 + 0.1 * rng.standard_normal(n_rows)
    return Data(X, y.astype(np.float32), X[:5000], y[:5000].astype(np.float32))


@lru_cache(maxsize=1)
def digits() -> Data:
    return Data(*load_digits(return_X_y=True))


@lru_cache(maxsize=1)
def two_classes() -> Data:
    return Data(*make_classification(2000, 20, random_state=0))


@lru_cache(maxsize=1)
def iris() -> Data:
    return Data(*load_iris(return_X_y=True))


def two_irises() -> Data:
    X, y, *_ = iris()
    return Data(X[50:], y[50:])


EPOCHS = {"max_iter": 5, "tol": None, "random_state": 0}
LOG_LOSS = {"loss": "log_loss", **EPOCHS}

SGD_MNIST = Workload(
    "sgd-mnist",
    "SGDClassifier, hinge, 5 epochs: MNIST, 60,000 × 784 float32, 10 classes",
    mnist,
    "SGDClassifier",
    EPOCHS,
    peer_jobs=N_THREADS,
)
SGD_DENSE = Workload(
    "sgd-dense",
    "SGDClassifier, log loss, 5 epochs: dense 1,000,000 × 100 float32, 2 classes",
    dense,
    "SGDClassifier",
    LOG_LOSS,
)
SGD_CSR = Workload(
    "sgd-csr",
    "SGDClassifier, log loss, 5 epochs: CSR 500,000 × 100,000 float32, 13.7 M non-zeros, 2 classes",
    csr,
    "SGDClassifier",
    LOG_LOSS,
)
IRIS = Workload(
    "iris",
    "SGDClassifier, hinge, to convergence: iris, 150 × 4 float64, 3 classes",
    iris,
    "SGDClassifier",
    {"random_state": 0},
    rounds=51,
    statistic="median",
)
LINEAR_SVC_A9A = Workload(
    "linear-svc-a9a",
    "LinearSVC: a9a, CSR 26,000 × 123 float64, 360,614 non-zeros, 2 classes",
    a9a,
    "LinearSVC",
    {},
    rounds=15,
    family="svm",
)
LINEAR_SVC_A9A_DUAL = LINEAR_SVC_A9A._replace(
    name="linear-svc-a9a-dual",
    title="LinearSVC, dual, 100 sweeps: a9a",
    params={"dual": True, "max_iter": 100, "random_state": 0},
    rounds=5,
)
LINEAR_SVC_IRIS = Workload(
    "linear-svc-iris",
    "LinearSVC: iris, 150 × 4 float64, 3 classes",
    iris,
    "LinearSVC",
    {},
    rounds=51,
    statistic="median",
    family="svm",
)
SGD = (SGD_MNIST, SGD_DENSE, SGD_CSR, IRIS)

SAGA_A9A = Workload(
    "saga-a9a",
    "LogisticRegression, l1 by SAGA: a9a, CSR 26,000 × 123 float64, 360,614 non-zeros, 2 classes",
    a9a,
    "LogisticRegression",
    {"solver": "saga", "l1_ratio": 1, "C": 1, "random_state": 0},
    rounds=5,
)
SAGA_MNIST = Workload(
    "saga-mnist-10000",
    "LogisticRegression, l2 by SAGA, 5 epochs: MNIST's first 10,000, 10 classes",
    mnist_10000,
    "LogisticRegression",
    {"solver": "saga", "max_iter": 5, "random_state": 0},
    rounds=3,
)
SAGA = (SAGA_A9A, SAGA_MNIST)

LIBLINEAR_A9A = Workload(
    "logreg-liblinear-a9a",
    "LogisticRegression, liblinear, l2: a9a, CSR 26,000 × 123 float64, 360,614 non-zeros, 2 classes",
    a9a,
    "LogisticRegression",
    {"solver": "liblinear"},
    rounds=15,
)
LIBLINEAR_A9A_L1 = LIBLINEAR_A9A._replace(
    name="logreg-liblinear-l1-a9a",
    title="LogisticRegression, liblinear, l1: a9a",
    params={"solver": "liblinear", "l1_ratio": 1.0, "random_state": 0},
    rounds=5,
)
LIBLINEAR_A9A_DUAL = LIBLINEAR_A9A._replace(
    name="logreg-liblinear-dual-a9a",
    title="LogisticRegression, liblinear, l2, dual: a9a",
    params={"solver": "liblinear", "dual": True, "random_state": 0},
    rounds=5,
)
LIBLINEAR_IRIS = Workload(
    "logreg-liblinear-iris",
    "LogisticRegression, liblinear, l2: two classes of iris, 100 × 4 float64",
    two_irises,
    "LogisticRegression",
    {"solver": "liblinear"},
    rounds=51,
    statistic="median",
)
LIBLINEAR = (LIBLINEAR_A9A, LIBLINEAR_A9A_L1, LIBLINEAR_A9A_DUAL, LIBLINEAR_IRIS)

RIDGE_DENSE = Workload(
    "ridge-dense", "Ridge: dense 1,000,000 × 100 float32", dense_values, "Ridge", {}, rounds=9
)
LINEAR_REGRESSION_DENSE = Workload(
    "linear-regression-dense",
    "LinearRegression: dense 1,000,000 × 100 float32",
    dense_values,
    "LinearRegression",
    {},
    rounds=5,
)
RIDGE_CV_DENSE = Workload(
    "ridge-cv-dense",
    "RidgeCV, 10 penalties, 5 folds: dense 1,000,000 × 100 float32",
    dense_values,
    "RidgeCV",
    {"alphas": np.logspace(-3, 3, 10), "cv": 5},
    rounds=1,
)
RIDGE_IRIS = tuple(
    Workload(f"{name}-iris", f"{title}: iris, 150 × 4", load, title, {}, rounds=51, statistic="median")
    for name, title, load in (
        ("ridge", "Ridge", iris_values),
        ("ridge-cv", "RidgeCV", iris_values),
        ("ridge-classifier", "RidgeClassifier", iris),
        ("linear-regression", "LinearRegression", iris_values),
    )
)
RIDGE = (RIDGE_DENSE, LINEAR_REGRESSION_DENSE, RIDGE_CV_DENSE, *RIDGE_IRIS)

LOGREG_MNIST = Workload(
    "logreg-mnist",
    "LogisticRegression, L-BFGS, 100 iterations: MNIST, 60,000 × 784 float32, 10 classes",
    mnist,
    "LogisticRegression",
    {"max_iter": 100},
    rounds=2,
)
LOGREG_DENSE = Workload(
    "logreg-dense",
    "LogisticRegression, L-BFGS: dense 1,000,000 × 100 float32, 2 classes",
    dense,
    "LogisticRegression",
    {},
)
LOGREG_CV = Workload(
    "logreg-cv",
    "LogisticRegressionCV, 10 values of C, 5 folds: MNIST's first 5,000, 10 classes",
    mnist_5000,
    "LogisticRegressionCV",
    {"Cs": 10, "cv": 5, "l1_ratios": (0,), "scoring": "accuracy", "use_legacy_attributes": False},
    peer_jobs=N_THREADS,
    rounds=1,
)
LOGREG_IRIS = Workload(
    "logreg-iris",
    "LogisticRegression, L-BFGS: iris, 150 × 4 float64, 3 classes",
    iris,
    "LogisticRegression",
    {"max_iter": 1000},
    rounds=51,
    statistic="median",
)
LOGREG = (LOGREG_MNIST, LOGREG_DENSE, LOGREG_CV, LOGREG_IRIS)

CENSUS = {"C": 1, "gamma": 0.05}
IMAGES = {"C": 10, "gamma": 0.02}
SVC_A9A_DENSE = Workload(
    "svc-a9a-dense",
    "SVC, RBF: a9a, dense 26,000 × 123 float32",
    dense_a9a,
    "SVC",
    CENSUS,
    rounds=3,
    family="svm",
)
SVC_A9A_SPARSE = Workload(
    "svc-a9a-sparse", "SVC, RBF: a9a, CSR 26,000 × 123 float64", a9a, "SVC", CENSUS, rounds=3, family="svm"
)
SVC_MNIST = Workload(
    "svc-mnist",
    "SVC, RBF: MNIST, 60,000 × 784 float32, 10 classes",
    mnist,
    "SVC",
    IMAGES,
    rounds=1,
    family="svm",
)
SVC_MNIST_10000 = Workload(
    "svc-mnist-10000", "SVC, RBF: MNIST's first 10,000", mnist_10000, "SVC", IMAGES, rounds=3, family="svm"
)
SVR = Workload(
    "svr",
    "SVR, RBF: 20,000 × 30 float32",
    regression,
    "SVR",
    {"C": 1, "epsilon": 0.1},
    rounds=2,
    family="svm",
)
SVC_SMALL = tuple(
    Workload(
        f"svc-{name}", f"SVC, RBF: {title}", load, "SVC", {}, rounds=15, statistic="median", family="svm"
    )
    for name, title, load in (
        ("iris", "iris, 150 × 4", iris),
        ("digits", "digits, 1,797 × 64, 10 classes", digits),
        ("2000x20", "2,000 × 20", two_classes),
    )
)
MLP_MNIST = Workload(
    "mlp-mnist",
    "MLPClassifier, 128 units, Adam, batches of 128, 5 epochs: MNIST, 60,000 × 784 float32, 10 classes",
    mnist,
    "MLPClassifier",
    {"hidden_layer_sizes": (128,), "batch_size": 128, "max_iter": 5, "random_state": 0},
    rounds=5,
    family="neural_network",
)
SVM_LARGE = (SVC_A9A_DENSE, SVC_A9A_SPARSE, SVC_MNIST, SVC_MNIST_10000, SVR)
SVM = (*SVM_LARGE, *SVC_SMALL)
LINEAR_SVM = (LINEAR_SVC_A9A, LINEAR_SVC_A9A_DUAL, LINEAR_SVC_IRIS)
BY_NAME = {
    workload.name: workload
    for workload in (*SGD, *SAGA, *LIBLINEAR, *LOGREG, *RIDGE, *SVM, *LINEAR_SVM, MLP_MNIST)
}
