"""Initial values: distributions, seeds, names."""

import numpy as np
import pytest

from fastml import keras
from fastml.keras import initializers

SHAPE = (3, 3, 40, 50)  # fans of 360 and 450

# name, standard deviation, largest value
SCALED = [
    ("glorot_uniform", np.sqrt(1 / 405), np.sqrt(3 / 405)),
    ("glorot_normal", np.sqrt(1 / 405), 2 * np.sqrt(1 / 405) / 0.8796256610342398),
    ("he_uniform", np.sqrt(2 / 360), np.sqrt(6 / 360)),
    ("he_normal", np.sqrt(2 / 360), 2 * np.sqrt(2 / 360) / 0.8796256610342398),
    ("lecun_uniform", np.sqrt(1 / 360), np.sqrt(3 / 360)),
    ("lecun_normal", np.sqrt(1 / 360), 2 * np.sqrt(1 / 360) / 0.8796256610342398),
    ("random_normal", 0.05, 0.3),
    ("truncated_normal", 0.05 * 0.8796256610342398, 0.1),
    ("random_uniform", 0.05 / np.sqrt(3), 0.05),
]


@pytest.mark.parametrize(("name", "std", "largest"), SCALED)
def test_distributions(name, std, largest):
    values = initializers.get(name)(SHAPE)
    assert values.shape == SHAPE
    assert values.dtype == np.float32
    assert values.std() == pytest.approx(std, rel=0.02)
    assert abs(values.mean()) < 0.04 * std
    assert 0.9 * largest < np.abs(values).max() <= largest * 1.0001 or name == "random_normal"


def test_constants():
    np.testing.assert_array_equal(initializers.get("zeros")((2, 3)), np.zeros((2, 3)))
    np.testing.assert_array_equal(initializers.Ones()((2,)), [1, 1])
    np.testing.assert_array_equal(initializers.Constant(2.5)((2,)), [2.5, 2.5])
    np.testing.assert_array_equal(initializers.Identity(3.0)((2, 2)), 3 * np.eye(2))
    with pytest.raises(ValueError, match="only be used for 2D matrices"):
        initializers.Identity()((2, 2, 2))


@pytest.mark.parametrize("shape", [(6, 4), (3, 8), (2, 3, 4)])
def test_orthogonal(shape):
    values = initializers.Orthogonal(gain=2.0)(shape, "float64").reshape(-1, shape[-1])
    product = values.T @ values if values.shape[0] >= values.shape[1] else values @ values.T
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-12)


def test_seeds():
    np.testing.assert_array_equal(
        initializers.GlorotUniform(seed=3)((4, 4)), initializers.GlorotUniform(seed=3)((4, 4))
    )
    one = initializers.GlorotUniform()
    np.testing.assert_array_equal(one((4, 4)), one((4, 4)))
    assert (one((4, 4)) != initializers.GlorotUniform()((4, 4))).any()
    draws = initializers.RandomNormal(seed=keras.random.SeedGenerator(5))
    assert (draws((4,)) != draws((4,))).any()


def test_set_random_seed_makes_weights_repeatable():
    def weights():
        keras.utils.set_random_seed(7)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dense(3)])
        return np.concatenate([w.ravel() for w in model.get_weights()])

    np.testing.assert_array_equal(weights(), weights())
    assert len(np.unique(weights())) == 12 + 9 + 1


def test_configurations_come_back():
    for initializer in (
        initializers.HeNormal(seed=1),
        initializers.VarianceScaling(2.0, "fan_out", "uniform", 3),
    ):
        again = initializers.deserialize(initializers.serialize(initializer))
        assert type(again) is type(initializer)
        assert again.get_config() == initializer.get_config()
        np.testing.assert_array_equal(again((5, 4)), initializer((5, 4)))


def test_unknown_names():
    with pytest.raises(ValueError, match="Could not interpret initializer identifier: glorot"):
        initializers.get("glorot")
