"""SequentialClassifier and SequentialRegressor: models of fastml.keras as scikit-learn's estimators."""

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, column_or_1d, validate_data

from fastml import keras
from fastml._validation import unchanged_on_error

# Rows predicted at a time.
PREDICTED_ROWS = 256


class SequentialEstimator(BaseEstimator):
    """What both share: parameters, the fit of ``model_``, and its output."""

    _metrics: tuple[str, ...] = ()

    def __init__(
        self,
        model,
        optimizer="adam",
        loss=None,
        epochs=10,
        batch_size=32,
        validation_fraction=0,
        callbacks=(),
        random_state=None,
        **model_params,
    ):
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.callbacks = callbacks
        self.random_state = random_state
        for name, value in model_params.items():
            setattr(self, name, value)
        unknown = model_params.keys() - self._model_parameters().keys()
        if unknown:
            raise TypeError(f"Neither {type(self).__name__} nor its model takes {sorted(unknown)}.")

    # Parameters

    def _model_parameters(self) -> dict[str, Any]:
        """Those of a model that is a function, with their values."""
        if isinstance(self.model, keras.Model) or not callable(self.model):
            return {}
        values = {
            name: getattr(self, name, parameter.default)
            for name, parameter in inspect.signature(self.model).parameters.items()
        }
        return {name: value for name, value in values.items() if value is not inspect.Parameter.empty}

    def get_params(self, deep=True):
        """The parameters, and those of the function that makes the model.

        Parameters
        ----------
        deep : bool, default=True

        Returns
        -------
        dict of str to object
        """
        return {**super().get_params(deep=False), **self._model_parameters()}

    # Fitting

    def _make_model(self, sample_shape: tuple[int, ...], n_outputs: int) -> Any:
        if isinstance(self.model, keras.Model):
            return copy.deepcopy(self.model)
        model = self.model(**self._model_parameters()) if callable(self.model) else self.model
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"model must be a Sequential, or a function that returns one. Received: {model!r}"
            )
        return model

    def _check_X(self, X: Any, reset: bool) -> np.ndarray:
        """Samples of any shape; bytes stay bytes, all else becomes float32."""
        X = validate_data(self, X, dtype="numeric", allow_nd=True, reset=reset)
        return X if X.dtype == np.uint8 else X.astype(np.float32, copy=False)

    def _start(self, X: np.ndarray, n_outputs: int, default_loss: str | None) -> None:
        """Set ``model_``, made and compiled; ``default_loss`` None is the cross-entropy that fits the output."""
        model = self._make_model(X.shape[1:], n_outputs)
        if not model.built:
            model.build((None, *X.shape[1:]))
        loss = self.loss if self.loss is not None else default_loss
        if loss is None:
            binary = model.output_shape[-1] == 1
            loss = "binary_crossentropy" if binary else "sparse_categorical_crossentropy"
        optimizer = self.optimizer
        if isinstance(optimizer, keras.Optimizer):
            optimizer = type(optimizer).from_config(optimizer.get_config())
        model.compile(optimizer=optimizer, loss=loss, metrics=list(self._metrics))
        self.model_ = model
        self.history_: dict[str, list[float]] = {}

    def _train(self, X: Any, y: Any, sample_weight: Any, epochs: int, stratify: Any = None) -> None:
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, np.zeros((len(X), 1)))
        validation = None
        if self.validation_fraction and epochs > 1:
            weights = np.ones(len(X)) if sample_weight is None else sample_weight
            X, X_val, y, y_val, kept, held_out = train_test_split(
                *(X, y, weights),
                test_size=self.validation_fraction,
                stratify=stratify,
                random_state=self._seed,
            )
            validation = (X_val, y_val, held_out)
            sample_weight = None if sample_weight is None else kept
        history = self.model_.fit(
            X,
            y,
            batch_size=self.batch_size,
            epochs=epochs,
            verbose=0,
            callbacks=[copy.copy(callback) for callback in self.callbacks],
            validation_data=validation,
            sample_weight=sample_weight,
        ).history
        for name, values in history.items():
            self.history_.setdefault(name, []).extend(values)

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Draw what the block draws from ``random_state``; the package's own generators go on afterwards."""
        if self.random_state is None:
            self._seed = None
            yield
            return
        self._seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        with keras.random.seeded(self._seed):
            yield

    def _output(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        return self.model_.predict(X, batch_size=max(PREDICTED_ROWS, self.batch_size), verbose=0)


class SequentialClassifier(ClassifierMixin, SequentialEstimator):
    """A classifier by a model of ``fastml.keras``.

    Parameters
    ----------
    model : Sequential, or function that returns one
        With an output for each class, made probabilities by its last activation; or with one, the second of two
        classes' probability. A model is copied for each fit, weights and all. A function's parameters are parameters
        of the estimator: ``SequentialClassifier(build, units=64)``.
    optimizer : str or Optimizer, default="adam"
    loss : str, Loss or None, default=None
        None is the cross-entropy that fits the output.
    epochs : int, default=10
    batch_size : int, default=32
    validation_fraction : float, default=0
        Of the rows, held out for the ``val_`` numbers in ``history_`` and for callbacks.
    callbacks : sequence of Callback, default=()
    random_state : int, RandomState or None, default=None
    **model_params
        For a model that is a function.

    Attributes
    ----------
    model_ : Sequential
    history_ : dict of str to list of float
        Each epoch's loss and metrics.
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastml.keras import Sequential, layers
    >>> from fastml.neural_network import SequentialClassifier
    >>> def build(units=16):
    ...     return Sequential([layers.Dense(units, "relu"), layers.Dense(3, "softmax")])
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SequentialClassifier(build, units=32, epochs=50, random_state=0).fit(X, y)
    >>> bool(model.score(X, y) > 0.9)
    True
    """

    _metrics = ("accuracy",)

    def fit(self, X, y, sample_weight=None):
        """Train a new model.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there are more classes than outputs, or shapes do not fit.
        """
        with unchanged_on_error(self), self._seeded():
            X, y = self._check_X(X, reset=True), self._check_y(X, y)
            self.classes_ = unique_labels(y)
            self._start(X, len(self.classes_), None)
            codes = self._codes(y)
            self._train(X, self._targets(codes), sample_weight, self.epochs, stratify=codes)
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Run one epoch over the given rows, from where the last call stopped.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), optional
            All classes there will be; required in the first call.
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object
        """
        first = not hasattr(self, "model_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        with unchanged_on_error(self), self._seeded():
            X, y = self._check_X(X, reset=first), self._check_y(X, y)
            if first:
                self.classes_ = unique_labels(classes)
                self._start(X, len(self.classes_), None)
            self._train(X, self._targets(self._codes(y)), sample_weight, 1)
        return self

    def _check_y(self, X, y):
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if len(y) != len(X):
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: {[len(X), len(y)]}"
            )
        return y

    def _codes(self, y):
        codes = np.searchsorted(self.classes_, y)
        known = self.classes_[np.minimum(codes, len(self.classes_) - 1)] == y
        if not known.all():
            raise ValueError(f"y contains labels that are not among the classes: {np.unique(y[~known])!r}")
        outputs = self.model_.output_shape[-1]
        if len(self.classes_) > max(2, outputs) or len(self.model_.output_shape) != 2:
            raise ValueError(
                f"The model's output has shape {self.model_.output_shape}; y has {len(self.classes_)} classes."
            )
        return codes.astype(np.int32)

    def _targets(self, codes):
        outputs, loss = self.model_.output_shape[-1], self.model_.loss
        name = loss if isinstance(loss, str) else getattr(loss, "name", type(loss).__name__)
        if outputs > 1 and not str(name).startswith("sparse"):
            return np.eye(outputs, dtype=np.float32)[codes]
        return codes if outputs > 1 else codes.astype(np.float32)[:, None]

    def predict_proba(self, X):
        """Probabilities of the classes: the model's output.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        output = self._output(X)
        if output.shape[1] == 1:
            return np.hstack([1 - output, output])
        return output[:, : len(self.classes_)]

    def predict(self, X):
        """The most probable classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class SequentialRegressor(RegressorMixin, SequentialEstimator):
    """A regressor by a model of ``fastml.keras``.

    Parameters
    ----------
    model : Sequential, or function that returns one
        As for ``SequentialClassifier``, with an output for each value.
    optimizer : str or Optimizer, default="adam"
    loss : str, Loss or None, default=None
        None is the mean squared error.
    epochs, batch_size, validation_fraction, callbacks, random_state, **model_params
        As for ``SequentialClassifier``.

    Attributes
    ----------
    model_ : Sequential
    history_ : dict of str to list of float
    n_features_in_ : int
    """

    def fit(self, X, y, sample_weight=None):
        """Train a new model.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object
        """
        return self._fit(X, y, sample_weight, self.epochs, new=True)

    def partial_fit(self, X, y, sample_weight=None):
        """Run one epoch over the given rows, from where the last call stopped.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        self : object
        """
        return self._fit(X, y, sample_weight, 1, new=not hasattr(self, "model_"))

    def _fit(self, X, y, sample_weight, epochs, new):
        with unchanged_on_error(self), self._seeded():
            X, y = self._check_X(X, reset=new), np.asarray(y, np.float32)
            if len(y) != len(X):
                raise ValueError(
                    f"Found input variables with inconsistent numbers of samples: {[len(X), len(y)]}"
                )
            y = y.reshape(len(y), -1)
            if new:
                self._start(X, y.shape[1], "mean_squared_error")
            if self.model_.output_shape != (None, y.shape[1]):
                raise ValueError(
                    f"The model's output has shape {self.model_.output_shape}; y has {y.shape[1]} values a sample."
                )
            self._train(X, y, sample_weight, epochs)
        return self

    def predict(self, X):
        """The model's output.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        output = self._output(X)
        return output[:, 0] if output.shape[1] == 1 else output
