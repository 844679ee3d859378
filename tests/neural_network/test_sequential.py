"""Models of fastml.keras as scikit-learn's estimators."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastml.keras import Input, Sequential, callbacks, layers, optimizers
from fastml.neural_network import CNNClassifier, MLPClassifier, SequentialClassifier, SequentialRegressor

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4)).astype("f")
NAMES = np.array(["a", "b", "c"])[np.digitize(X[:, 0] + 0.3 * X[:, 1], [-0.4, 0.4])]


def build(units=16, rate=0.0):
    return Sequential([layers.Dense(units, "relu"), layers.Dropout(rate), layers.Dense(3, "softmax")])


def classifier(**params):
    return SequentialClassifier(
        build, **{"epochs": 20, "optimizer": optimizers.Adam(0.01), "random_state": 0} | params
    )


def test_a_function_s_parameters_are_the_estimator_s():
    model = classifier(units=32)
    assert (model.get_params()["units"], model.get_params()["rate"]) == (32, 0.0)
    assert clone(model).set_params(units=8, rate=0.1).fit(X, NAMES).model_.layers[0].units == 8
    with pytest.raises(TypeError, match="unit"):
        SequentialClassifier(build, unit=32)


def test_fits_repeat_and_pickle():
    model = classifier(rate=0.2).fit(X, NAMES)
    assert model.score(X, NAMES) > 0.85
    assert_array_equal(model.predict_proba(X), clone(model).fit(X, NAMES).predict_proba(X))
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    assert len(model.history_["accuracy"]) == 20
    for each in (copy, model):
        each.partial_fit(X[:50], NAMES[:50])
    assert_allclose(copy.predict_proba(X), model.predict_proba(X), rtol=1e-5)


def test_random_state_leaves_the_package_s_generators():
    np.random.seed(3)  # noqa: NPY002
    expected = np.random.RandomState(3).rand()
    classifier(epochs=1).fit(X, NAMES)
    assert np.random.rand() == expected  # noqa: NPY002


def test_an_instance_is_copied_for_each_fit():
    given = Sequential([Input((4,)), layers.Dense(3, "softmax")])
    before = given.get_weights()
    model = SequentialClassifier(given, epochs=2, random_state=0).fit(X, NAMES)
    assert_array_equal(given.get_weights()[0], before[0])
    assert np.abs(model.model_.get_weights()[0] - before[0]).max() > 0
    again = clone(model).fit(X, NAMES)
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_in_a_pipeline_and_a_grid():
    pipeline = make_pipeline(StandardScaler(), classifier())
    search = GridSearchCV(pipeline, {"sequentialclassifier__units": [1, 16]}, cv=2).fit(X, NAMES)
    assert search.best_params_ == {"sequentialclassifier__units": 16}


def test_partial_fit_and_two_classes():
    y = X[:, 0] > 0
    one = SequentialClassifier(
        lambda: Sequential([layers.Dense(1, "sigmoid")]), optimizer=optimizers.SGD(0.5)
    )
    for _ in range(10):
        one.partial_fit(X, y, classes=[False, True])
    assert one.score(X, y) > 0.9
    assert_allclose(one.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
    assert len(one.history_["loss"]) == 10


def test_validation_and_callbacks():
    stopping = callbacks.EarlyStopping(monitor="val_loss", patience=0, min_delta=10.0)
    model = classifier(validation_fraction=0.2, callbacks=[stopping]).fit(X, NAMES)
    assert len(model.history_["val_loss"]) == 2
    assert model.get_params()["callbacks"][0] is stopping


def test_other_losses_and_weights():
    hot = classifier(loss="categorical_crossentropy").fit(X, NAMES)
    assert hot.score(X, NAMES) > 0.85
    weights = (NAMES != "b").astype(float)
    assert (classifier().fit(X, NAMES, sample_weight=weights).predict(X) == "b").mean() < 0.1


def test_regression():
    y = np.column_stack([X[:, 0], X[:, 1] - 1]).astype(float)

    def make(outputs=2):
        return Sequential([layers.Dense(outputs)])

    model = SequentialRegressor(make, optimizer=optimizers.Adam(0.05), epochs=60, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.98
    single = clone(model).set_params(outputs=1).fit(X, y[:, 0])
    assert single.predict(X).shape == (120,)
    with pytest.raises(ValueError, match="2 values a sample"):
        single.partial_fit(X, y)


def test_errors():
    with pytest.raises(ValueError, match="has 4 classes"):
        classifier().fit(X, np.arange(120) % 4)
    with pytest.raises(ValueError, match="not among the classes"):
        classifier().partial_fit(X, NAMES, classes=["a", "b"])
    with pytest.raises(ValueError, match="classes must be passed"):
        classifier().partial_fit(X, NAMES)
    with pytest.raises(ValueError, match="inconsistent"):
        classifier().fit(X, NAMES[:5])
    with pytest.raises(ValueError, match="NaN"):
        classifier().fit(np.full_like(X, np.nan), NAMES)
    for estimator in (classifier(), SequentialRegressor(build)):
        with pytest.raises(NotFittedError):
            estimator.predict(X)
    for no_model in (None, "model", lambda: None):
        with pytest.raises(TypeError, match="model must be a Sequential, or a function that returns one"):
            SequentialClassifier(no_model).fit(X, NAMES)


def test_images():
    y = np.arange(150) % 3
    images = RNG.integers(0, 60, (150, 8, 8), np.uint8)
    for label in range(3):
        images[y == label, label * 2 : label * 2 + 2] += 150
    params = {"filters": (4,), "hidden_layer_sizes": (8,), "epochs": 12, "random_state": 0}
    model = CNNClassifier(**params, optimizer=optimizers.Adam(0.01)).fit(images, y)
    assert model.score(images, y) > 0.95
    floats = images.astype("f") / 255
    flat = clone(model).set_params(image_shape=(8, 8)).fit(floats.reshape(150, 64), y)
    assert_allclose(flat.predict_proba(floats.reshape(150, 64)), model.predict_proba(images), atol=0.02)
    with pytest.raises(ValueError, match="image_shape"):
        clone(model).fit(floats.reshape(150, 64), y)
    with pytest.raises(ValueError, match="uint8"):
        model.predict(floats)


def image_classifier():
    sizes = {"filters": (2,), "kernel_size": 1, "pool_size": 1, "hidden_layer_sizes": (8,)}
    return CNNClassifier(**sizes, image_shape=(2, 2), epochs=3, random_state=0)


@pytest.mark.parametrize(
    "make", [classifier, image_classifier, lambda: MLPClassifier(random_state=0, max_iter=20)]
)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_threads_fit_and_predict_as_one_does(make):
    one = make().fit(X, NAMES)
    expected = one.predict_proba(X)

    def fit_or_predict(i):
        return (make().fit(X, NAMES) if i % 2 else one).predict_proba(X)

    with ThreadPoolExecutor(4) as threads:
        for proba in threads.map(fit_or_predict, range(16)):
            assert_array_equal(proba, expected)


@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_workers_search_as_one_does(backend):
    def searched(**jobs):
        return GridSearchCV(classifier(epochs=3), {"units": [4, 16]}, cv=2, **jobs).fit(X, NAMES)

    expected = searched()
    with joblib.parallel_backend(backend):
        found = searched(n_jobs=2)
        proba = cross_val_predict(image_classifier(), X, NAMES, cv=2, method="predict_proba", n_jobs=2)
    assert_array_equal(found.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    assert_array_equal(found.predict_proba(X), expected.predict_proba(X))
    assert_array_equal(proba, cross_val_predict(image_classifier(), X, NAMES, cv=2, method="predict_proba"))
