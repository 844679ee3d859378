"""Predictions for input that lies on a GPU: computed there, and returned as arrays of that device."""

from sklearn.utils.validation import check_is_fitted

from fastml._config import require_cuda
from fastml._device_input import device_of
from fastml._validation import check_device_X, check_sparse
from fastml.kernels import for_device


class DeviceClassifierPrediction:
    """Mixin before a linear classifier of scikit-learn's: device arrays in, device arrays out."""

    def decision_function(self, X):
        """Signed distance to the hyperplanes, times the norm of their weights.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,) or (n_samples, n_classes)
            Of the kind that X is.
        """
        if device_of(X) == "cpu":
            check_sparse(X)
            return super().decision_function(X)
        scores = device_scores(self, X, self.intercept_)
        return scores.ravel() if scores.shape[1] == 1 else scores

    def predict(self, X):
        """Class labels.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)

        Returns
        -------
        array of shape (n_samples,)
            Of the kind that X is, where labels are numbers; strings are host memory's.
        """
        if device_of(X) == "cpu":
            return super().predict(X)
        scores = self.decision_function(X)
        positions = scores > 0 if scores.ndim == 1 else scores.argmax(axis=1)
        arrays = for_device("cuda").arrays
        if self.classes_.dtype.kind in "OSU":
            return self.classes_[arrays.fetch(positions).astype(int)]
        return arrays.send(self.classes_)[positions.astype("int64")]


def device_scores(estimator, X, intercept):
    """``X @ coef_.T + intercept`` on the GPU, of shape (n_samples, n_models)."""
    check_is_fitted(estimator)
    require_cuda()
    X = check_device_X(estimator, X, reset=False)
    arrays = for_device("cuda").arrays
    coef = estimator.coef_.reshape(-1, X.shape[1])
    return arrays.send(X) @ arrays.send(coef.T.astype(X.dtype)) + arrays.send(intercept.astype(X.dtype))
