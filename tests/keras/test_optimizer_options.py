"""Accumulated gradients and averaged weights: as Keras 3.15.1 does on TensorFlow."""

import numpy as np
import pytest
from keras_reference import few_steps

from fastml import keras
from fastml.keras import callbacks, layers, optimizers
from fastml.keras.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop

# Optimizers, arguments of few_steps: weights that Keras came to.
TRAINED = [
    (
        lambda: SGD(0.1, gradient_accumulation_steps=2),
        {},
        [0.26532164, 1.1761794, -0.11723536, -0.24543661, 0.40728348, 1.2144364, 0.77511829, 0.47538364],
    ),
    (
        lambda: Adam(0.05, gradient_accumulation_steps=3, clipnorm=0.1),
        {},
        [0.14943281, 1.3410692, -0.23829982, -1.2386228, 0.59207159, 1.1870619, 1.1121565, 0.50760806],
    ),
    (
        lambda: AdamW(0.05, weight_decay=0.1, gradient_accumulation_steps=3),
        {},
        [0.14756286, 1.3189737, -0.2354092, -1.2192544, 0.58307326, 1.1683447, 1.0969906, 0.50279176],
    ),
    (
        lambda: Adagrad(0.1, gradient_accumulation_steps=2),
        {},
        [0.22265013, 1.1968257, -0.16303337, -1.0878421, 0.51701164, 1.1754745, 0.97951525, 0.5030216],
    ),
    (
        lambda: SGD(optimizers.schedules.ExponentialDecay(0.2, 2, 0.5), gradient_accumulation_steps=2),
        {},
        [0.25567785, 1.2785697, -0.17108147, -0.56709516, 0.43080282, 1.194934, 0.94786674, 0.51372463],
    ),
    (
        lambda: SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.8),
        {},
        [0.21231201, 1.1138531, 0.17495963, 0.5057891, 0.38499767, 1.0831798, -0.29711103, -0.15118371],
    ),
    (
        lambda: SGD(0.1, momentum=0.9, use_ema=True, ema_momentum=0.8),
        {"finish": False},
        [0.52836597, 0.88349473, 0.36590326, 1.3929772, 0.01973971, 1.0849196, -0.11198995, -0.035823554],
    ),
    (
        lambda: RMSprop(0.05, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2),
        {"finish": False},
        [0.21328524, 1.142326, -0.14752097, -1.0145427, 0.52376419, 1.2848053, 0.89881653, 0.47924539],
    ),
    (
        lambda: Adam(0.05, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=3),
        {},
        [0.21938141, 1.2589809, -0.16289577, -1.1397355, 0.52054334, 1.1897177, 1.0181694, 0.47472042],
    ),
    (
        lambda: Adam(
            0.05, use_ema=True, ema_momentum=0.7, ema_overwrite_frequency=2, gradient_accumulation_steps=2
        ),
        {},
        [0.11666209, 1.3686503, -0.26837462, -1.2687994, 0.62467313, 1.1624584, 1.1440451, 0.54316115],
    ),
    (
        lambda: Adam(0.05, loss_scale_factor=1024.0),
        {},
        [0.38569981, 1.0511734, 0.016948583, -0.89971006, 0.35082412, 1.0998267, 0.78265291, 0.35433906],
    ),
]


@pytest.mark.parametrize(("make", "how", "expected"), TRAINED, ids=range(len(TRAINED)))
def test_training(make, how, expected):
    optimizer = make()
    # TensorFlow takes powers of Adam's betas in float32, which costs digits of a step.
    tolerance = 5e-6 if isinstance(optimizer, Adam) else 1e-6
    assert few_steps(keras, optimizer, **how) == pytest.approx(expected, rel=tolerance, abs=tolerance)


def small(optimizer):
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="a"), layers.Dense(1, name="b")])
    model.compile(optimizer, "mse")
    rng = np.random.default_rng(0)
    return model, rng.standard_normal((24, 3)).astype("f"), rng.standard_normal((24, 1)).astype("f")


def test_variables_are_in_keras_order():
    model, X, y = small(Adam(use_ema=True, gradient_accumulation_steps=2))
    model.fit(X, y, verbose=0)
    paths = ["a_kernel", "a_bias", "b_kernel", "b_bias"]
    expected = [f"{p}_average" for p in paths] + [f"{p}_gradient_accumulator" for p in paths]
    expected += [f"{path}_{kind}" for path in paths for kind in ("momentum", "velocity")]
    got = [v.name.removeprefix("sequential_") for v in model.optimizer.variables]
    assert got == ["iteration", "learning_rate", *expected]


def test_state_goes_on_from_a_file(tmp_path):
    options = {"use_ema": True, "ema_momentum": 0.6, "gradient_accumulation_steps": 2}
    model, X, y = small(Adam(0.1, **options))
    model.fit(X, y, 8, verbose=0, shuffle=False)  # three steps: one is accumulated
    path = tmp_path / "model.keras"
    model.save(path)
    again = keras.models.load_model(path)
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert again.optimizer.iterations == model.optimizer.iterations == 1
    for each in (model, again):
        each.fit(X, y, 8, verbose=0, shuffle=False)
    for ours, theirs in zip(again.get_weights(), model.get_weights()):
        np.testing.assert_array_equal(ours, theirs)


class Fails(callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise RuntimeError("interrupted")


def test_a_backup_has_all_of_it(tmp_path):
    """Averages, accumulated gradients and what is due when."""
    keras.utils.set_random_seed(3)
    initial = small("sgd")[0].get_weights()

    def fitted(told, fails=False):
        keras.utils.set_random_seed(4)
        model, X, y = small(Adam(0.1, use_ema=True, gradient_accumulation_steps=2))
        model.set_weights(initial)
        if fails:
            with pytest.raises(RuntimeError, match="interrupted"):
                model.fit(X, y, 8, epochs=4, verbose=0, callbacks=told)
        else:
            model.fit(X, y, 8, epochs=4, verbose=0, callbacks=told)
        return model.get_weights()

    straight = fitted([])
    fitted([callbacks.BackupAndRestore(tmp_path), Fails()], fails=True)
    for ours, expected in zip(fitted([callbacks.BackupAndRestore(tmp_path)]), straight):
        np.testing.assert_array_equal(ours, expected)


def test_nothing_changes_before_an_update_is_due():
    model, X, y = small(SGD(0.1, gradient_accumulation_steps=3, weight_decay=0.5))
    before = model.get_weights()
    for _ in range(2):
        model.train_on_batch(X, y)
        for ours, expected in zip(model.get_weights(), before):
            np.testing.assert_array_equal(ours, expected)
    model.train_on_batch(X, y)
    assert all((ours != expected).any() for ours, expected in zip(model.get_weights()[::2], before[::2]))


def test_averages_of_no_step_are_none():
    model, X, y = small(SGD(0.1, use_ema=True))
    before = model.get_weights()
    model.fit(X, y, epochs=2, initial_epoch=2, verbose=0)
    for ours, expected in zip(model.get_weights(), before):
        np.testing.assert_array_equal(ours, expected)
    model.fit(X, y, verbose=0)
    with pytest.raises(ValueError, match="The optimizer keeps no average of"):
        model.optimizer.finalize_variable_values(small("sgd")[0].trainable_weights)


def test_a_layer_frozen_later_keeps_its_average():
    model, X, y = small(SGD(0.1, use_ema=True))
    model.fit(X, y, 8, verbose=0)
    frozen = model.get_layer("a").get_weights()
    model.get_layer("a").trainable = False
    model.compile(model.optimizer, "mse")
    model.fit(X, y, 8, verbose=0)
    for ours, expected in zip(model.get_layer("a").get_weights(), frozen):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("name", ["clipnorm", "clipvalue", "global_clipnorm"])
def test_bounds_that_are_not_above_0_are_none(name):
    plain = few_steps(keras, SGD(0.1))
    assert few_steps(keras, SGD(0.1, **{name: 0.0})) == few_steps(keras, SGD(0.1, **{name: -1.0})) == plain


def test_the_decay_of_old_scripts_is_ignored_with_a_warning():
    with pytest.warns(UserWarning, match="`decay` is no longer supported and will be ignored"):
        optimizer = SGD(0.1, decay=1e-6)
    assert few_steps(keras, optimizer) == few_steps(keras, SGD(0.1))


REFUSED = [
    ({"gradient_accumulation_steps": 1}, "`gradient_accumulation_steps` must be an integer >= 2"),
    ({"gradient_accumulation_steps": 2.5}, "`gradient_accumulation_steps` must be an integer >= 2"),
    ({"use_ema": True, "ema_momentum": 1.5}, r"`ema_momentum` must be in the range \[0, 1\]"),
    ({"use_ema": True, "ema_overwrite_frequency": 2.5}, "`ema_overwrite_frequency` must be an integer >= 1"),
    ({"loss_scale_factor": 0.0}, "`loss_scale_factor` must be positive"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_arguments_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SGD(**options)


def test_configurations_come_back():
    options = {
        "use_ema": True,
        "ema_momentum": 0.5,
        "ema_overwrite_frequency": 3,
        "loss_scale_factor": 8.0,
        "gradient_accumulation_steps": 4,
    }
    again = optimizers.deserialize(optimizers.serialize(AdamW(**options)))
    assert {name: again.get_config()[name] for name in options} == options
