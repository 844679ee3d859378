"""The demo's choice of data, its table and its picture, on a few rows and without fastml's estimators."""

import importlib
import pkgutil
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import is_classifier
from sklearn.linear_model import SGDClassifier
from sklearn.utils import Bunch

import fastml
from fastml.exceptions import DatasetUnavailableError

PATH = Path(__file__).parents[1] / "examples" / "demo.py"
if not PATH.is_file():
    pytest.skip("the examples are only in the source tree", allow_module_level=True)

_spec = spec_from_file_location("demo", PATH)
demo = module_from_spec(_spec)
_spec.loader.exec_module(demo)

# Deprecated in scikit-learn: the workload is their replacement.
REPLACED = {"PassiveAggressiveClassifier": "SGDClassifier(pa1)"}


@pytest.fixture
def no_mnist(monkeypatch):
    def load_mnist():
        raise DatasetUnavailableError("MNIST: no mirror answered")

    monkeypatch.setattr(demo, "load_mnist", load_mnist)


@pytest.fixture
def small_workloads(monkeypatch):
    """One workload, compared as it would be, with scikit-learn's estimator in the place of fastml's too."""
    workload = demo.WORKLOADS[0]._replace(rows=400, short_rows=300)
    build = demo.build
    monkeypatch.setattr(demo, "WORKLOADS", (workload,))
    monkeypatch.setattr(demo, "build", lambda workload, _, n_jobs=None: build(workload, "sklearn", n_jobs))
    return workload


def comparison(label="SGDClassifier", ours=0.05, theirs=1.5, predictions=(0, 1)):
    fits = [demo.Fit(seconds, np.array(predictions), 0.9) for seconds in (ours, theirs)]
    return demo.Comparison(label, "scikit-learn", 60_000, *fits)


# Data


@pytest.mark.parametrize(
    ("source", "origin"), [("FASTML_DATA", "FASTML_DATA"), ("cache", "the cache"), ("download", "its mirror")]
)
def test_heading_names_mnist_and_where_it_came_from(monkeypatch, source, origin):
    mnist = Bunch(
        X_train=np.zeros((1200, 784), np.float32),
        y_train=np.zeros(1200, int),
        X_test=np.zeros((30, 784), np.float32),
        y_test=np.zeros(30, int),
        source=source,
    )
    monkeypatch.setattr(demo, "load_mnist", lambda: mnist)
    data = demo.load_data()

    assert data.heading == f"MNIST: 1,200 training and 30 test images, from {origin}"
    assert data.X_train is mnist.X_train
    assert data.image_shape == (28, 28)


def test_digits_stand_in_and_say_so(no_mnist, capsys):
    data = demo.load_data()

    assert data.heading.startswith("scikit-learn digits (MNIST not available: ")
    assert data.heading.endswith("1,347 training and 450 test images")
    assert "no mirror answered" in capsys.readouterr().err
    assert data.X_train.dtype == np.float32
    assert data.X_train.min() == 0
    assert data.X_train.max() == 1
    assert len(np.unique(data.y_train)) == len(np.unique(data.y_test)) == 10


def test_no_stand_in_where_fastml_data_is_set(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("FASTML_DATA", str(tmp_path))
    assert demo.main(["--output", str(tmp_path / "demo.png")]) == 1

    output = capsys.readouterr()
    assert "FASTML_DATA is set, but train-images-idx3-ubyte.gz" in output.err
    assert output.out == ""


# Workloads


def test_every_classifier_has_a_workload():
    workloads = {workload.estimator for workload in demo.WORKLOADS}
    labels = {workload.label for workload in demo.WORKLOADS}
    for module_name in ("linear_model", "svm", "neural_network"):
        if module_name not in {module.name for module in pkgutil.iter_modules(fastml.__path__)}:
            continue
        module = importlib.import_module(f"fastml.{module_name}")
        peer = importlib.import_module(f"sklearn.{module_name}")
        for name in sorted(set(module.__all__) & set(peer.__all__)):
            estimator = getattr(module, name)
            if isinstance(estimator, type) and is_classifier(estimator()):
                assert name in workloads or REPLACED.get(name) in labels, name


OF_SCIKIT_LEARN = [workload for workload in demo.WORKLOADS if not workload.other_peers]


@pytest.mark.parametrize("workload", OF_SCIKIT_LEARN, ids=lambda workload: workload.label)
def test_workload_runs_in_scikit_learn(workload):
    estimator = demo.build(workload, "sklearn", n_jobs=2)
    assert estimator.get_params().get("n_jobs", 2) == (2 if workload.takes_jobs else None)
    data = demo.digits_data("a test")
    assert demo.timed_fit(estimator, data, 500).accuracy > 0.8


def test_networks_learn_wherever_they_are_from():
    (workload,) = (workload for workload in demo.WORKLOADS if workload.other_peers)
    workload = workload._replace(params=workload.params | {"epochs": 15, "batch_size": 32})
    data = demo.digits_data("a test")
    images = (X.reshape(-1, *data.image_shape) for X in (data.X_train, data.X_test))
    data = data._replace(**dict(zip(("X_train", "X_test"), images)))
    for package in ("fastml", *(peer.package for peer in demo.installed_peers(workload))):
        assert demo.timed_fit(demo.build(workload, package), data, 500).accuracy > 0.8, package


def test_without_any_peer_a_network_has_a_line_of_its_own(monkeypatch):
    absent = demo.Peer("nobody", "fastml_has_no_such_peer")
    (workload,) = (workload for workload in demo.WORKLOADS if workload.other_peers)
    workload = workload._replace(rows=200, other_peers=(absent,))
    monkeypatch.setattr(demo, "WORKLOADS", (workload,))
    (result,) = demo.compare_all(demo.digits_data("a test"), short=False)
    assert (result.label, result.rows, result.theirs, result.ratio) == ("CNNClassifier", 200, None, None)
    assert demo.format_line(result)[4:6] == ("-", "-")
    demo.draw(demo.digits_data("a test"), [result])


def test_labels_are_distinct():
    assert len({workload.label for workload in demo.WORKLOADS}) == len(demo.WORKLOADS)


def test_fastest_peer_is_compared_where_it_is_installed():
    workload = demo.WORKLOADS[0]
    absent, present = demo.Peer("nobody", "fastml_has_no_such_peer"), demo.Peer("NumPy", "numpy")
    assert demo.installed_peers(workload) == [demo.SCIKIT_LEARN]
    assert demo.installed_peers(workload._replace(fastest_peer=absent)) == [demo.SCIKIT_LEARN]
    assert demo.installed_peers(workload._replace(fastest_peer=present)) == [demo.SCIKIT_LEARN, present]


def test_peer_gets_jobs_where_they_pay(monkeypatch):
    monkeypatch.setattr(demo.joblib, "cpu_count", lambda: 16)
    assert demo.peer_jobs(60_000 * 784, n_classes=10) == 10
    assert demo.peer_jobs(1_347 * 64, n_classes=10) is None


@pytest.mark.parametrize(
    ("short", "rows", "times"),
    [(False, 400, [3.0, 8.0, 2.0, 10.0]), (True, 300, [2.0, 8.0])],  # ours and theirs in turns
)
def test_the_fastest_fit_counts(monkeypatch, small_workloads, short, rows, times):
    seconds = iter([9.0, 9.0, *times])  # after two warm-ups
    fits = []

    def timed_fit(estimator, data, rows):
        fits.append((type(estimator), rows))
        return demo.Fit(next(seconds), np.zeros(450), 0.5)

    monkeypatch.setattr(demo, "timed_fit", timed_fit)
    (result,) = demo.compare_all(demo.digits_data("a test"), short=short)

    assert fits == [(SGDClassifier, demo.WARM_UP_ROWS)] * 2 + [(SGDClassifier, rows)] * len(times)
    assert (result.ours.seconds, result.theirs.seconds, result.ratio) == (2.0, 8.0, 4.0)
    assert result.rows == rows


# Output


def test_table():
    table = demo.format_table("MNIST: …", [comparison(), comparison("Perceptron", 0.1234, 0.0617)])
    rule = "-" * 84
    assert table == "\n".join(
        [
            "MNIST: …",
            rule,
            "estimator      beside          rows  fit ours   theirs  ratio  accuracy ours  theirs",
            rule,
            "SGDClassifier  scikit-learn  60,000   0.050 s  1.500 s  30.0x         90.00%  90.00%",
            "Perceptron     scikit-learn  60,000   0.123 s  0.062 s   0.5x         90.00%  90.00%",
            rule,
        ]
    )


def test_demo_prints_a_table_and_writes_a_picture(no_mnist, small_workloads, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "demo.png"
    assert demo.main(["--short", "--output", str(picture)]) == 0

    output = capsys.readouterr()
    assert output.out.count("scikit-learn digits (MNIST not available") == 1
    assert "SGDClassifier  scikit-learn   300" in output.out
    assert "2/2" in output.err
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("n_mistakes", [0, 3, 450])
def test_picture_has_room_for_any_number_of_mistakes(tmp_path, n_mistakes):
    pytest.importorskip("matplotlib")
    data = demo.digits_data("a test")
    predictions = data.y_test.copy()
    predictions[:n_mistakes] = (predictions[:n_mistakes] + 1) % 10
    demo.draw(data, [comparison(predictions=predictions)]).savefig(tmp_path / "demo.png")


def test_without_matplotlib_the_demo_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setattr(demo, "find_spec", lambda package: None)
    line = demo.write_picture(tmp_path / "demo.png", None, [])
    assert line.endswith("was not written: it needs matplotlib (pip install fastml[plot])")
    assert list(tmp_path.iterdir()) == []


def test_output_in_no_directory_is_refused_before_training(tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        demo.main(["--output", str(tmp_path / "nowhere" / "demo.png")])
    assert caught.value.code == 2
    assert "there is no directory" in capsys.readouterr().err


def test_importing_the_demo_leaves_matplotlib_alone():
    from subprocess import run

    code = f"import runpy, sys; runpy.run_path({str(PATH)!r}); sys.exit('matplotlib' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0
