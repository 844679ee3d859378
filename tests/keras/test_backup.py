"""Backups: a training that was killed ends as one that was not."""

import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import resumed_fit

from fastml import keras
from fastml.keras import callbacks, layers


def run(*arguments):
    script = Path(resumed_fit.__file__)
    return subprocess.run([sys.executable, script, *map(str, arguments)], capture_output=True, text=True)


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    """A folder where each scenario was trained without a kill, killed, and resumed; what was there after the kill."""
    folder = tmp_path_factory.mktemp("trainings")
    straight = run(folder, "straight")
    assert straight.returncode == 0, straight.stderr
    left = {}
    for name in resumed_fit.SCENARIOS:
        killed = run(folder, "killed", name)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        left[name] = sorted(path.name for path in (folder / name).iterdir())
    resumed = run(folder, "resumed")
    assert resumed.returncode == 0, resumed.stderr
    return folder, left


@pytest.mark.parametrize("name", resumed_fit.SCENARIOS)
def test_killed_and_resumed_is_as_not_killed(trainings, name):
    folder, _ = trainings
    straight, resumed = (np.load(folder / f"{name}-{mode}.npz") for mode in ("straight", "resumed"))
    assert straight.files == resumed.files
    for key in straight.files:
        np.testing.assert_array_equal(straight[key], resumed[key], err_msg=key, strict=True)
    assert not (folder / name).exists()


def test_what_a_kill_leaves(trainings):
    _, left = trainings
    assert left["epochs"] == ["latest.zip"]
    unfinished, previous = left["writing"]
    assert unfinished.startswith(".latest.zip.")
    assert unfinished.endswith(".part")
    assert previous == "previous.zip"


class Interrupted(callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise RuntimeError("interrupted")


def model_and_data(units=1):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(units)])
    model.compile("adam", "mse")
    X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    return model, X, X[:, :1].repeat(units, 1)


def interrupt(folder, epoch=3, **backup):
    model, X, y = model_and_data()
    told = [callbacks.BackupAndRestore(folder, **backup), Interrupted(epoch)]
    with pytest.raises(RuntimeError, match="interrupted"):
        model.fit(X, y, epochs=5, verbose=0, callbacks=told)
    return model, X, y


def test_only_epochs_that_are_left_are_trained(tmp_path):
    model, X, y = interrupt(tmp_path / "backup")
    history = model.fit(
        X, y, epochs=5, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path / "backup")]
    )
    assert history.epoch == [3, 4]
    assert len(history.history["loss"]) == 2
    assert not (tmp_path / "backup").exists()


def test_backups_can_be_kept(tmp_path):
    model, X, y = model_and_data()
    backup = callbacks.BackupAndRestore(tmp_path, delete_checkpoint=False)
    model.fit(X, y, epochs=3, verbose=0, callbacks=[backup])
    weights = model.get_weights()
    history = model.fit(X, y, epochs=3, verbose=0, callbacks=[backup])
    assert history.epoch == []
    np.testing.assert_array_equal(model.get_weights()[0], weights[0])


def test_a_folder_with_other_files_stays(tmp_path):
    (tmp_path / "notes").write_text("mine")
    interrupt(tmp_path)
    model, X, y = model_and_data()
    model.fit(X, y, epochs=5, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_the_backup_before_is_used_if_the_last_is_damaged(tmp_path):
    model, X, y = interrupt(tmp_path, double_checkpoint=True)
    (tmp_path / "latest.zip").write_bytes(b"PK")
    with pytest.warns(UserWarning, match="the one before it is"):
        history = model.fit(X, y, epochs=5, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path)])
    assert history.epoch == [2, 3, 4]


def test_a_backup_of_another_model_is_refused(tmp_path):
    interrupt(tmp_path)
    model, X, y = model_and_data(units=2)
    with pytest.raises(
        ValueError, match=r"does not fit the model: variable .*shape \(3, 2\), the file \(3, 1\)"
    ):
        model.fit(X, y, verbose=0, callbacks=[callbacks.BackupAndRestore(tmp_path)])


BROKEN = [
    {"version": 7},
    {"epoch": -1},
    {"epoch": "3"},
    {"generators": {"layers": [[1, 2]]}},
    {"generators": {"layers": [], "shuffling": [0, 2**64], "python": None, "numpy": None}},
    {"generators": {"layers": [], "shuffling": [1, 0], "unseeded": [1], "python": None, "numpy": None}},
    {"callbacks": [{"name": "EarlyStopping/0", "state": {"best": {"dtype": "O", "shape": [1], "data": ""}}}]},
    {
        "callbacks": [
            {"name": "EarlyStopping/0", "state": {"best": {"dtype": "int64", "shape": [9], "data": ""}}}
        ]
    },
]


@pytest.mark.parametrize("broken", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_state_is_refused(tmp_path, broken):
    model, X, y = interrupt(tmp_path)
    path = tmp_path / "latest.zip"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    state = {**json.loads(members["fastml_state.json"]), **broken}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fastml_state.json", json.dumps(state))
        archive.writestr("model.weights.h5", members["model.weights.h5"])
    told = [callbacks.BackupAndRestore(tmp_path), callbacks.EarlyStopping("loss", patience=9)]
    with pytest.raises(ValueError, match="does not fit the training at hand"):
        model.fit(X, y, epochs=5, verbose=0, callbacks=told)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="Empty `backup_dir`"):
        callbacks.BackupAndRestore("")
    with pytest.raises(ValueError, match="save_freq=batch"):
        callbacks.BackupAndRestore("backup", save_freq="batch")


@pytest.mark.parametrize("weights_only", [False, True])
def test_model_checkpoint(tmp_path, weights_only):
    suffix = ".weights.h5" if weights_only else ".keras"
    model, X, y = model_and_data()
    checkpoint = callbacks.ModelCheckpoint(tmp_path / f"{{epoch}}{suffix}", save_weights_only=weights_only)
    model.fit(X, y, epochs=2, verbose=0, callbacks=[checkpoint])
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"1{suffix}", f"2{suffix}"]
    other, _, _ = model_and_data()
    other.load_weights(tmp_path / f"2{suffix}")
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    assert int(other.optimizer.iterations) == 2


def test_model_checkpoint_of_the_best(tmp_path):
    model, X, y = model_and_data()
    checkpoint = callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="loss", save_best_only=True)
    history = model.fit(X, y, epochs=3, verbose=0, callbacks=[checkpoint])
    assert checkpoint.best == min(history.history["loss"])
    with zipfile.ZipFile(tmp_path / "best.keras") as archive:
        state = json.loads(archive.read("fastml_state.json"))
    assert state["epoch"] == 1 + int(np.argmin(history.history["loss"]))
    assert state["step"] == 0
