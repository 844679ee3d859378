"""Keras' MNIST script with another import root, on a few images."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from fastml.keras import datasets

PATH = Path(__file__).parents[1] / "examples" / "mnist_cnn.py"
if not PATH.is_file():
    pytest.skip("the examples are only in the source tree", allow_module_level=True)


def test_the_script_runs_and_plots(monkeypatch, tmp_path, capsys):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (400, 28, 28), np.uint8), np.arange(400) % 10
    images[np.arange(400), 2 * labels] = 255  # a line whose height tells the digit
    half = len(images) // 2
    sets = (images[:half], labels[:half]), (images[half:], labels[half:])
    monkeypatch.setattr(datasets.mnist, "load_data", lambda: sets)
    monkeypatch.chdir(tmp_path)
    mpl.use("Agg")

    names: dict = {}
    exec(compile(PATH.read_text(), PATH, "exec"), names)

    history = names["history"].history
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert len(history["loss"]) == 5
    assert history["loss"][-1] < history["loss"][0]
    printed = capsys.readouterr().out
    assert "Epoch 5/5" in printed
    assert f"accuracy {history['val_accuracy'][-1]:.4f}: " in printed
    assert (tmp_path / "mnist_cnn.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_but_the_import_root_is_ours():
    lines = [line for line in PATH.read_text().splitlines() if "fastml" in line and "``" not in line]
    assert lines == ["from fastml.keras import datasets, layers, models"]
