"""fit, evaluate, predict: what they take, what they give, what they refuse."""

import numpy as np
import pytest
from three_classes import classifier, flat_weights, problem, quietly

from fastml import keras
from fastml.keras import layers


def test_training_learns_and_the_history_has_all_numbers():
    X, y = problem(200)
    model = classifier(keras.losses.SparseCategoricalCrossentropy(), keras.optimizers.Adam(0.02))
    history = quietly(model, X, y, epochs=20, validation_split=0.2)
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert history.epoch == list(range(20))
    assert all(len(values) == 20 for values in history.history.values())
    assert history.history["loss"][-1] < 0.3 * history.history["loss"][0]
    assert history.history["val_accuracy"][-1] > 0.85
    assert model.history is history


def test_evaluate_is_the_mean_over_samples_whatever_the_batch():
    X, y = problem()
    model = classifier()
    p = model.predict(X, verbose=0)
    expected = [-np.log(p[np.arange(60), y]).mean(), (p.argmax(axis=1) == y).mean()]
    for batch_size in (60, 32, 7):
        np.testing.assert_allclose(model.evaluate(X, y, batch_size, verbose=0), expected, rtol=1e-5)
    by_name = model.evaluate(X, y, verbose=0, return_dict=True)
    assert by_name == {"accuracy": pytest.approx(expected[1]), "loss": pytest.approx(expected[0])}
    without = classifier(metrics=())
    assert without.evaluate(X, y, verbose=0) == pytest.approx(expected[0], rel=1e-5)


def test_the_order_is_drawn_anew_each_epoch_and_repeats_with_the_seed():
    X, y = problem()
    first, second = classifier(), classifier()
    for model in (first, second):
        keras.utils.set_random_seed(5)
        quietly(model, X, y, epochs=2, batch_size=16)
    np.testing.assert_array_equal(flat_weights(first), flat_weights(second))
    keras.utils.set_random_seed(6)
    quietly(second, X, y, epochs=1)
    keras.utils.set_random_seed(5)
    quietly(first, X, y, epochs=1)
    assert (flat_weights(first) != flat_weights(second)).any()


def test_what_compile_is_not_given_anew_stays():
    """As in Keras: a script that freezes layers and compiles for another optimizer keeps its loss and metrics."""
    X, y = problem()
    model = classifier()
    model.compile("sgd")
    assert list(quietly(model, X, y).history) == ["accuracy", "loss"]
    model.compile("sgd", loss="mse", metrics=[])
    assert list(model.test_on_batch(X, np.zeros((60, 3)), return_dict=True)) == ["loss"]
    model.compile("sgd", weighted_metrics=["mae"])
    assert list(model.test_on_batch(X, np.zeros((60, 3)), return_dict=True)) == ["loss", "mae"]
    assert keras.models.clone_model(model).loss is None  # what the last call was given


def test_one_epoch_after_another_is_two_epochs():
    X, y = problem()
    both, apart = classifier(), classifier()
    quietly(both, X, y, epochs=2, shuffle=False)
    quietly(apart, X, y, epochs=1, shuffle=False)
    history = quietly(apart, X, y, epochs=2, initial_epoch=1, shuffle=False)
    assert history.epoch == [1]
    np.testing.assert_array_equal(flat_weights(both), flat_weights(apart))
    assert int(apart.optimizer.iterations) == 4


@pytest.mark.parametrize("kind", ["generator", "iterable", "sequence"])
def test_batches_of_the_users_own_train_as_arrays_do(kind):
    X, y = problem()

    class Batches:
        def __len__(self):
            return 4

        def __getitem__(self, i):
            if i >= 4:
                raise IndexError(i)
            return X[15 * i : 15 * (i + 1)], y[15 * i : 15 * (i + 1)]

    class Iterable:
        def __iter__(self):
            return (Batches()[i] for i in range(4))

    def forever():
        while True:
            yield from Iterable()

    given = {"generator": forever(), "iterable": Iterable(), "sequence": Batches()}[kind]
    steps = 4 if kind == "generator" else None
    as_arrays, as_batches = classifier(), classifier()
    expected = quietly(as_arrays, X, y, batch_size=15, epochs=3, shuffle=False).history
    history = quietly(as_batches, given, epochs=3, steps_per_epoch=steps).history
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-6)
    np.testing.assert_allclose(flat_weights(as_batches), flat_weights(as_arrays), rtol=1e-5, atol=1e-7)
    if kind != "generator":
        np.testing.assert_allclose(
            as_batches.evaluate(given, verbose=0), as_arrays.evaluate(X, y, 15, verbose=0), rtol=1e-6
        )
        assert as_batches.predict(given, verbose=0).shape == (60, 3)


def test_a_generator_that_ends_too_soon_warns():
    X, y = problem(20)
    with pytest.warns(UserWarning, match="Your input ran out of data"):
        quietly(classifier(), ((X[i : i + 5], y[i : i + 5]) for i in (0, 5)), steps_per_epoch=4)


def test_steps_per_epoch_go_on_where_the_last_epoch_ended():
    X, y = problem()
    stepwise, whole = classifier(), classifier()
    quietly(stepwise, X, y, batch_size=15, epochs=2, steps_per_epoch=2, shuffle=False)
    quietly(whole, X, y, batch_size=15, shuffle=False)
    np.testing.assert_array_equal(flat_weights(stepwise), flat_weights(whole))


def test_weights_of_zero_take_samples_out():
    X, y = problem()
    weighted, fewer = classifier(), classifier()
    weight = np.where(np.arange(60) < 30, 2.0, 0.0)
    quietly(weighted, X, y, batch_size=60, epochs=3, sample_weight=weight)
    quietly(fewer, X[:30], y[:30], batch_size=30, epochs=3, shuffle=False)
    np.testing.assert_allclose(flat_weights(weighted), flat_weights(fewer), rtol=2e-5, atol=1e-6)


def test_class_weights_are_sample_weights():
    X, y = problem()
    by_class, by_sample = classifier(), classifier()
    quietly(by_class, X, y, shuffle=False, class_weight={0: 2.0, 2: 0.5})
    quietly(by_sample, X, y, shuffle=False, sample_weight=np.array([2.0, 1.0, 0.5])[y])
    np.testing.assert_array_equal(flat_weights(by_class), flat_weights(by_sample))


def test_one_hot_targets_are_labels():
    X, y = problem()
    sparse, dense = classifier(), classifier("categorical_crossentropy")
    expected = quietly(sparse, X, y, epochs=2, shuffle=False).history
    history = quietly(dense, X, keras.utils.to_categorical(y), epochs=2, shuffle=False).history
    assert history == expected
    np.testing.assert_array_equal(flat_weights(sparse), flat_weights(dense))


def test_uint8_images_with_rescaling_are_floats_divided():
    rng = np.random.default_rng(1)
    images, y = rng.integers(0, 256, (40, 6, 5), dtype=np.uint8), rng.integers(0, 3, 40)

    def model(*first):
        keras.utils.set_random_seed(2)
        made = keras.Sequential(
            [
                keras.Input((6, 5, 1)),
                *first,
                layers.Conv2D(2, 3, activation="relu"),
                layers.Flatten(),
                layers.Dense(3, activation="softmax"),
            ]
        )
        made.compile("sgd", "sparse_categorical_crossentropy")
        return made

    folded, divided = model(layers.Rescaling(1 / 255)), model()
    quietly(folded, images, y, epochs=2, shuffle=False)
    quietly(divided, images.astype("float32") / 255, y, epochs=2, shuffle=False)
    np.testing.assert_allclose(flat_weights(folded), flat_weights(divided), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(
        folded.predict(images, verbose=0), divided.predict(images / 255, verbose=0), rtol=1e-5, atol=1e-6
    )


def test_weights_are_made_at_the_first_data():
    X, y = problem()
    model = keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(3)])
    assert not model.built
    assert model.weights == []
    with pytest.raises(AttributeError, match="has no defined output shape yet"):
        _ = model.output_shape
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    quietly(model, X, y)
    assert [w.shape for w in model.weights] == [(4, 8), (8,), (8, 3), (3,)]
    assert model.input_shape == (None, 4)


def test_a_model_that_begins_with_a_built_one_is_built():
    first = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    model = keras.Sequential([first, layers.Dense(2)])
    assert model.input_shape == (None, 4)
    assert [w.shape for w in model.weights] == [(4, 3), (3,), (3, 2), (2,)]
    assert model.layers[0] is first
    later = keras.Sequential([first])
    later.add(layers.Dense(2))
    assert later.output_shape == (None, 2)
    assert keras.models.clone_model(later).output_shape == (None, 2)


def test_single_batches():
    X, y = problem()
    stepwise, fitted = classifier(), classifier()
    results = []
    for first in (0, 20, 40):
        batch = X[first : first + 20], y[first : first + 20]
        expected = stepwise.evaluate(*batch, verbose=0)
        results.append(stepwise.train_on_batch(*batch))
        assert results[-1] == pytest.approx(expected, rel=1e-5)
    history = quietly(fitted, X, y, batch_size=20, shuffle=False).history
    np.testing.assert_allclose(flat_weights(stepwise), flat_weights(fitted), rtol=1e-5, atol=1e-7)
    assert np.mean(results, axis=0) == pytest.approx([history["loss"][0], history["accuracy"][0]], rel=1e-5)
    stepwise.reset_metrics()
    assert stepwise.test_on_batch(X, y, return_dict=True) == pytest.approx(
        stepwise.evaluate(X, y, verbose=0, return_dict=True), rel=1e-5
    )
    np.testing.assert_allclose(stepwise.predict_on_batch(X), stepwise.predict(X, verbose=0), rtol=1e-5)


def test_layers_that_are_not_trained_stay():
    X, y = problem()
    model = classifier()
    model.get_layer("hidden").trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    quietly(model, X, y, epochs=2)
    after = model.get_weights()
    for i, (old, new) in enumerate(zip(before, after)):
        assert (old == new).all() == (i < 2)
    assert len(model.trainable_weights) == 2
    assert [v.path for v in model.optimizer.variables[2:4]] == [
        "adam_1/sequential_scores_kernel_momentum",
        "adam_1/sequential_scores_kernel_velocity",
    ]


def test_layers_in_two_models_are_shared():
    X, y = problem()
    model = classifier()
    quietly(model, X, y)
    features = keras.Sequential([keras.Input((4,)), model.get_layer("hidden")], name="features")
    head = keras.Sequential([features, layers.Dense(3, activation="softmax")])
    head.compile("sgd", "sparse_categorical_crossentropy")
    before = features.predict(X, verbose=0)
    quietly(head, X, y, epochs=3)
    hidden = np.maximum(X @ model.get_weights()[0] + model.get_weights()[1], 0)
    np.testing.assert_allclose(features.predict(X, verbose=0), hidden, rtol=1e-5, atol=1e-6)
    assert (hidden != before).any()
    scores = hidden @ model.get_weights()[2] + model.get_weights()[3]
    expected = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("units", [3, 300])  # gradient and update of large matrices may be one operation
def test_a_layer_in_several_places_gets_the_sum_of_their_gradients(units):
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((12, units)).astype("f"), rng.standard_normal((12, 1))

    def dense():
        return layers.Dense(units, activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(3))

    def steps(hidden):
        last = layers.Dense(1, kernel_initializer=keras.initializers.GlorotUniform(4))
        model = keras.Sequential([keras.Input((units,)), *hidden, last])
        before = model.get_weights()
        model.compile(keras.optimizers.SGD(1.0), "mse")
        model.train_on_batch(X, y)
        return [old - new for old, new in zip(before, model.get_weights())]

    together, apart = steps([dense()] * 3), steps([dense() for _ in range(3)])
    expected = [apart[0] + apart[2] + apart[4], apart[1] + apart[3] + apart[5], *apart[6:]]
    assert len(together) == len(expected)
    for ours, theirs in zip(together, expected):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_callback_may_predict_with_the_layers_that_are_trained():
    X, y = problem()
    model, alone = classifier(), classifier()
    features = keras.Sequential([keras.Input((4,)), model.get_layer("hidden")])
    outputs = []

    def look(batch, logs):
        outputs.append(features.predict(X, verbose=0))
        outputs.append(model.get_layer("hidden")(X))

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=look)
    quietly(model, X, y, epochs=2, shuffle=False, callbacks=[callback])
    quietly(alone, X, y, epochs=2, shuffle=False)
    np.testing.assert_array_equal(flat_weights(model), flat_weights(alone))
    np.testing.assert_array_equal(outputs[-1], outputs[-2])
    assert (outputs[-1] != outputs[0]).any()
    kernel, bias = model.get_weights()[:2]
    np.testing.assert_allclose(outputs[-1], np.maximum(X @ kernel + bias, 0), rtol=1e-5, atol=1e-6)


def test_images_of_any_size():
    model = keras.Sequential(
        [keras.Input((None, None, 1)), layers.Conv2D(2, 3), layers.GlobalAveragePooling2D(), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    for size in ((8, 9), (5, 7), (8, 9)):
        x = rng.standard_normal((4, *size, 1)).astype("float32")
        quietly(model, x, np.zeros(4))
        assert model.predict(x, verbose=0).shape == (4, 1)
    assert int(model.optimizer.iterations) == 3


def test_targets_of_images():
    rng = np.random.default_rng(3)
    X, labels = rng.standard_normal((12, 4, 5, 2)).astype("float32"), rng.integers(0, 3, (12, 4, 5))
    model = keras.Sequential([keras.Input((4, 5, 2)), layers.Conv2D(3, 1, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    weight = rng.uniform(0, 1, 12)
    loss, accuracy = model.evaluate(X, labels, sample_weight=weight, verbose=0)
    p = model.predict(X, verbose=0)
    values = -np.log(np.take_along_axis(p, labels[..., None], -1)[..., 0])
    assert loss == pytest.approx((values * weight[:, None, None]).mean(), rel=1e-5)
    assert accuracy == pytest.approx((p.argmax(-1) == labels).mean(), rel=1e-6)
    history = quietly(model, X, labels, epochs=5)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_regularisation_is_part_of_the_loss():
    X, y = problem()
    model = keras.Sequential(
        [keras.Input((4,)), layers.Dense(3, activation="softmax", kernel_regularizer="l2")]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    p = model.predict(X, verbose=0)
    plain = -np.log(p[np.arange(60), y]).mean()
    assert model.losses == [pytest.approx(0.01 * np.sum(model.get_weights()[0] ** 2), rel=1e-5)]
    assert model.evaluate(X, y, verbose=0) == pytest.approx(plain + model.losses[0], rel=1e-5)


def test_a_loss_of_the_users_own():
    from numba import njit

    from fastml import Loss

    @njit
    def value(y, p):
        return (p - y) ** 4

    @njit
    def derivative(y, p):
        return 4.0 * (p - y) ** 3

    X, _ = problem()
    y = X[:, :2] - X[:, 2:]
    model = keras.Sequential([keras.Input((4,)), layers.Dense(2)])
    model.compile(keras.optimizers.Adam(0.05), Loss(value, derivative))
    p = model.predict(X, verbose=0)
    assert model.evaluate(X, y, verbose=0) == pytest.approx(((p - y) ** 4).mean(), rel=1e-4)
    losses = quietly(model, X, y, epochs=30).history["loss"]
    assert losses[-1] < 0.1 * losses[0]


def test_float64_models():
    X, y = problem()
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, activation="softmax", dtype="float64")])
    model.compile("adam", "sparse_categorical_crossentropy")
    quietly(model, X, y)
    assert model.predict(X, verbose=0).dtype == np.float64
    assert {w.dtype for w in model.weights} == {"float64"}


def test_nan_loss_goes_on():
    X, y = problem()
    X[3] = np.nan
    history = quietly(classifier(), X, y, epochs=2)
    assert np.isnan(history.history["loss"]).all()
    assert history.epoch == [0, 1]


# What is wrong, how it is called, what the message says.
def _fit(**changes):
    def call():
        X, y = problem()
        arguments = {"x": X, "y": y, "verbose": 0, **changes}
        classifier().fit(**arguments)

    return call


REFUSED = [
    (
        _fit(y=np.full(60, 3)),
        r"label value of 3 which is outside the valid range of \[0, 3\): layer 'scores' has 3",
    ),
    (_fit(y=np.full(60, -1)), r"label value of -1 .* layer 'scores'"),
    (_fit(y=np.full(60, 0.5)), "Labels of layer 'scores' must be whole numbers"),
    (_fit(y=np.full(60, np.nan)), "Labels of layer 'scores' must be whole"),
    (_fit(y=np.full(60, np.inf)), "Labels of layer 'scores' must be"),
    (_fit(y=np.zeros((60, 2))), r"Layer 'scores': .* target.shape=\(60, 2\), output.shape=\(60, 3\)"),
    (_fit(y=np.zeros(59)), "Data cardinality is ambiguous"),
    (_fit(y=None), "y is None"),
    (
        _fit(x=np.zeros((60, 5), "f")),
        r'layer "hidden" is incompatible .* expected shape=\(None, 4\), found shape=\(None, 5\)',
    ),
    (_fit(x=np.zeros((60, 4, 2), "f")), r"found shape=\(None, 4, 2\)"),
    (_fit(x=np.zeros((0, 4), "f"), y=np.zeros(0)), "Expected input data to be non-empty"),
    (_fit(x=[[1, 2, 3, 4]] * 60), "Unrecognized data type"),
    (_fit(x=np.full((60, 4), "a")), "Invalid dtype"),
    (_fit(sample_weight=np.ones(10)), "Data cardinality is ambiguous"),
    (_fit(sample_weight=np.ones((60, 3))), r"sample_weight.shape=\(60, 3\), losses.shape=\(None,\)"),
    (_fit(sample_weight=np.ones(60), class_weight={0: 1.0}), "at the same time"),
    (_fit(validation_split=0.999), "not sufficient to split it"),
    (_fit(validation_data=(np.zeros((3, 5), "f"), np.zeros(3))), r"found shape=\(None, 5\)"),
    (_fit(x=iter([]), y=None), "Received an empty generator"),
    (_fit(x=iter([(np.zeros((2, 4)), np.zeros(2))])), "`y` should not be passed"),
    (_fit(x=iter([(np.zeros((2, 4)), np.full(2, 7))]), y=None), "label value of 7"),
    (
        lambda: classifier("mse").fit(*problem(), verbose=0),
        r"output of layer 'scores': target.shape=\(None,\)",
    ),
    (lambda: classifier(None).fit(*problem(), verbose=0), "No loss to compute"),
    (
        lambda: classifier("nonsense").fit(*problem(), verbose=0),
        "Could not interpret loss identifier: nonsense",
    ),
    (lambda: classifier(optimizer="adamant"), "Could not interpret optimizer identifier: adamant"),
    (
        lambda: classifier(metrics=["accurate"]).fit(*problem(), verbose=0),
        "Could not interpret metric identifier",
    ),
    (lambda: keras.Sequential().fit(*problem()), "You must call `compile"),
    (lambda: keras.Sequential().predict(problem()[0], verbose=0), "because it has no layers"),
]


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_failed_fit_leaves_the_weights():
    X, y = problem()
    model = classifier()
    before = flat_weights(model)
    with pytest.raises(ValueError, match="label value"):
        quietly(model, X, y + 1)
    np.testing.assert_array_equal(flat_weights(model), before)


def test_an_interrupt_keeps_the_last_completed_step():
    X, y = problem()

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    interrupted, stepwise = classifier(), classifier()
    with pytest.raises(KeyboardInterrupt):
        quietly(interrupted, X, y, batch_size=20, shuffle=False, callbacks=[Interrupt()])
    for first in (0, 20):
        stepwise.train_on_batch(X[first : first + 20], y[first : first + 20])
    np.testing.assert_allclose(flat_weights(interrupted), flat_weights(stepwise), rtol=1e-6)
    assert int(interrupted.optimizer.iterations) == 2


def test_functional_models_are_refused():
    message = "fastml.keras has Sequential models only"
    with pytest.raises(NotImplementedError, match=message):
        keras.Model(inputs=None, outputs=None)

    class Mine(keras.Model):
        pass

    with pytest.raises(NotImplementedError, match=message):
        Mine()
    with pytest.raises(NotImplementedError, match=message):
        layers.Dense(2)(keras.Input((3,)))
    assert isinstance(keras.Sequential(), keras.Model)
