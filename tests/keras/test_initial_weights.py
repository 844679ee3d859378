"""The weights that a script begins with, beside those that it begins with on Keras and TensorFlow."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import initial_weights
import numpy as np
import pytest
from initial_weights import CLOSE, EXACT, outcomes

from fastml import keras

pytestmark = pytest.mark.skipif(
    find_spec("keras") is None or find_spec("tensorflow") is None, reason="needs Keras on TensorFlow"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What Keras wrote in a process of its own: TensorFlow's threads are not to be in those that other tests fork."""
    folder = tmp_path_factory.mktemp("keras")
    initial_weights.with_generators(keras).save(folder / "ours.keras")
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": "-1"}
    script = Path(initial_weights.__file__)
    made = subprocess.run(
        [sys.executable, script, folder], env=environment, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="module")
def of_keras(folder):
    with np.load(folder / "outcomes.npz") as found:
        return dict(found)


def expected(of_keras, name):
    n = sum(key.rpartition(" ")[0] == name for key in of_keras)
    return [of_keras[f"{name} {i}"] for i in range(n)]


@pytest.mark.parametrize("scenario", EXACT, ids=lambda scenario: scenario.__name__)
def test_the_same_bits(scenario, of_keras):
    ours, theirs = outcomes(keras, scenario), expected(of_keras, scenario.__name__)
    assert len(ours) == len(theirs) > 1
    for mine, other in zip(ours, theirs):
        np.testing.assert_array_equal(mine, other, strict=mine.dtype.kind == "f")


@pytest.mark.parametrize("seed", range(5))
def test_the_mnist_script_with_several_seeds(seed, of_keras):
    for mine, other in zip(
        outcomes(keras, initial_weights.mnist_script, seed), expected(of_keras, f"seed {seed}"), strict=True
    ):
        np.testing.assert_array_equal(mine, other, strict=True)


@pytest.mark.parametrize("scenario", CLOSE, ids=lambda scenario: scenario.__name__)
def test_nearly_the_same(scenario, of_keras):
    ours, theirs = outcomes(keras, scenario), expected(of_keras, scenario.__name__)
    assert len(ours) == len(theirs) > 1
    for mine, other in zip(ours, theirs):
        assert mine.dtype == other.dtype
        # The decomposition of an orthogonal matrix is what float32 makes of it; all else differs in last places.
        np.testing.assert_allclose(mine, other, rtol=1e-5 if mine.dtype == np.float32 else 1e-14, atol=2e-6)


def test_generators_go_to_keras_in_files_and_come_back(folder):
    ours, theirs = (keras.models.load_model(folder / name) for name in ("ours.keras", "theirs.keras"))
    for mine, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)
    for mine, other in zip(ours.layers, theirs.layers, strict=True):
        assert mine.get_config() == other.get_config()
    fresh = [type(model).from_config(model.get_config()).get_weights() for model in (ours, theirs)]
    for mine, other in zip(*fresh, strict=True):
        np.testing.assert_array_equal(mine, other)
