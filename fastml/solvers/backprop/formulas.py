"""Losses of values: each gives the loss of every sample, and its gradient with respect to the prediction.

``formula(target, prediction) -> (values, gradient)``: arrays of one shape (..., k); values have shape (...), the mean
over the last axis where the definition has one; ``gradient[i]`` is the gradient of ``values[i]``. Definitions, guards
against zeros included, are Keras 3's.
"""

import numpy as np

EPSILON = 1e-7


def mean_squared_error(target, prediction):
    error = prediction - target
    return np.mean(error * error, axis=-1), error * (2 / error.shape[-1])


def mean_absolute_error(target, prediction):
    error = prediction - target
    return np.mean(np.abs(error), axis=-1), np.sign(error) / error.shape[-1]


def mean_absolute_percentage_error(target, prediction):
    error = prediction - target
    scale = np.maximum(np.abs(target), EPSILON)
    return 100 * np.mean(np.abs(error) / scale, axis=-1), 100 * np.sign(error) / scale / error.shape[-1]


def mean_squared_logarithmic_error(target, prediction):
    error = np.log(np.maximum(prediction, EPSILON) + 1) - np.log(np.maximum(target, EPSILON) + 1)
    slope = np.where(prediction > EPSILON, 1 / (np.maximum(prediction, EPSILON) + 1), 0)
    return np.mean(error * error, axis=-1), error * slope * (2 / error.shape[-1])


def huber(target, prediction, delta=1.0):
    error = prediction - target
    size = np.abs(error)
    values = np.where(size <= delta, 0.5 * error * error, delta * size - 0.5 * delta * delta)
    return np.mean(values, axis=-1), np.clip(error, -delta, delta) / error.shape[-1]


def log_cosh(target, prediction):
    error = prediction - target
    values = error + np.logaddexp(0, -2 * error) - np.log(2).astype(error.dtype)
    return np.mean(values, axis=-1), np.tanh(error) / error.shape[-1]


def poisson(target, prediction):
    shifted = prediction + EPSILON
    values = prediction - target * np.log(shifted)
    return np.mean(values, axis=-1), (1 - target / shifted) / prediction.shape[-1]


def cosine_similarity(target, prediction, axis=-1):
    norm = np.sqrt(np.sum(prediction * prediction, axis=axis, keepdims=True))
    target_norm = np.sqrt(np.sum(target * target, axis=axis, keepdims=True))
    divisor = np.maximum(norm, EPSILON)
    unit, target_unit = prediction / divisor, target / np.maximum(target_norm, EPSILON)
    cosine = np.sum(unit * target_unit, axis=axis, keepdims=True)
    # Where the divisor is EPSILON, it does not change with the prediction.
    bent = np.where(norm > EPSILON, cosine, 0)
    return -np.squeeze(cosine, axis), (bent * unit - target_unit) / divisor


def kl_divergence(target, prediction):
    p, q = np.clip(target, EPSILON, 1), np.clip(prediction, EPSILON, 1)
    inside = (prediction >= EPSILON) & (prediction <= 1)
    return np.sum(p * np.log(p / q), axis=-1), np.where(inside, -p / q, 0)


def _signs(target):
    """Labels -1 and 1, where all were 0 or 1."""
    return 2 * target - 1 if np.all((target == 0) | (target == 1)) else target


def hinge(target, prediction):
    signs = _signs(target)
    margin = 1 - signs * prediction
    return np.mean(np.maximum(margin, 0), axis=-1), np.where(margin > 0, -signs, 0) / margin.shape[-1]


def squared_hinge(target, prediction):
    signs = _signs(target)
    margin = np.maximum(1 - signs * prediction, 0)
    return np.mean(margin * margin, axis=-1), -2 * signs * margin / margin.shape[-1]


def categorical_hinge(target, prediction):
    right = np.sum(target * prediction, axis=-1)
    others = (1 - target) * prediction
    most = np.max(others, axis=-1, keepdims=True)
    values = most[..., 0] - right + 1
    largest = (others == most).astype(prediction.dtype)
    # Those that are equal share the gradient, as in TensorFlow.
    largest /= np.maximum(largest.sum(axis=-1, keepdims=True), 1)
    gradient = np.where(values[..., None] > 0, largest * (1 - target) - target, 0)
    # As in TensorFlow, where none is the largest then, and shares are 0 / 0.
    gradient[np.isnan(values)] = np.nan
    return np.maximum(values, 0), gradient


def binary_crossentropy(target, prediction, label_smoothing=0.0):
    """Of probabilities."""
    values, gradient = _binary(_smoothed_binary(target, label_smoothing), prediction)
    return np.mean(values, axis=-1), gradient / prediction.shape[-1]


def _smoothed_binary(target, label_smoothing):
    return target * (1 - label_smoothing) + 0.5 * label_smoothing if label_smoothing else target


def _binary(target, prediction):
    p = np.clip(prediction, EPSILON, 1 - EPSILON)
    values = -(target * np.log(p) + (1 - target) * np.log(1 - p))
    return values, np.where(p == prediction, (p - target) / (p * (1 - p)), 0)


def binary_crossentropy_of_logits(target, logits, label_smoothing=0.0):
    """``max(x, 0) - x t + log(1 + exp(-|x|))``, the mean over the last axis."""
    t = _smoothed_binary(target, label_smoothing)
    values, p = _binary_of_logits(t, logits)
    return np.mean(values, axis=-1), (p - t) / logits.shape[-1]


def _binary_of_logits(target, logits):
    """Values, and the probabilities that logits stand for."""
    decay = np.exp(-np.abs(logits))
    values = np.maximum(logits, 0) - logits * target + np.log1p(decay)
    return values, np.where(logits >= 0, 1, decay) / (1 + decay)


def binary_focal_crossentropy(target, prediction, label_smoothing=0.0, **options):
    """T.-Y. Lin et al., "Focal Loss for Dense Object Detection", 2017, equations 4 and 5; of probabilities."""
    t = _smoothed_binary(target, label_smoothing)
    values, slope = _binary(t, prediction)
    return _focal(t, prediction, 1, values, slope, **options)


def binary_focal_crossentropy_of_logits(target, logits, label_smoothing=0.0, **options):
    t = _smoothed_binary(target, label_smoothing)
    values, p = _binary_of_logits(t, logits)
    return _focal(t, p, p * (1 - p), values, p - t, **options)


def _focal(t, p, dp, values, slope, apply_class_balancing=False, alpha=0.25, gamma=2.0):
    """Cross-entropies ``values`` weighed by how far p is off; ``slope`` and ``dp`` are derivatives, of both, by one."""
    miss = 1 - (t * p + (1 - t) * (1 - p))
    weight = t * alpha + (1 - t) * (1 - alpha) if apply_class_balancing else np.ones_like(t)
    factor = miss**gamma
    # d miss / d p = 1 - 2 t
    gradient = weight * (factor * slope + gamma * miss ** (gamma - 1) * (1 - 2 * t) * dp * values)
    return np.mean(weight * factor * values, axis=-1), gradient / p.shape[-1]


def _smoothed(target, label_smoothing):
    return target * (1 - label_smoothing) + label_smoothing / target.shape[-1] if label_smoothing else target


def categorical_crossentropy(target, prediction, label_smoothing=0.0):
    """Of probabilities, which are made to sum to 1 first."""
    t = _smoothed(target, label_smoothing)
    p, to_prediction = _normalised(prediction)
    return -np.sum(t * np.log(p), axis=-1), to_prediction(-t / p)


def _normalised(prediction):
    """Probabilities that sum to 1, clipped; and what makes a gradient to them one to the prediction."""
    total = prediction.sum(axis=-1, keepdims=True)
    share = prediction / total
    p = np.clip(share, EPSILON, 1 - EPSILON)

    def to_prediction(gradient):
        inside = np.where(p == share, gradient, 0)
        return (inside - np.sum(inside * share, axis=-1, keepdims=True)) / total

    return p, to_prediction


def categorical_crossentropy_of_logits(target, logits, label_smoothing=0.0):
    t = _smoothed(target, label_smoothing)
    log_p = _log_softmax(logits)
    return -np.sum(t * log_p, axis=-1), np.exp(log_p) * t.sum(axis=-1, keepdims=True) - t


def _log_softmax(logits):
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def softmax(logits):
    return np.exp(_log_softmax(logits))


def categorical_focal_crossentropy(target, prediction, alpha=0.25, gamma=2.0, label_smoothing=0.0):
    """Of probabilities."""
    t = _smoothed(target, label_smoothing)
    p, to_prediction = _normalised(prediction)
    miss = 1 - p
    values = -np.sum(alpha * miss**gamma * t * np.log(p), axis=-1)
    slope = alpha * t * (gamma * miss ** (gamma - 1) * np.log(p) - miss**gamma / p)
    return values, to_prediction(slope)


def categorical_focal_crossentropy_of_logits(target, logits, **options):
    p = softmax(logits)
    values, slope = categorical_focal_crossentropy(target, p, **options)
    return values, p * (slope - np.sum(slope * p, axis=-1, keepdims=True))


def sparse_categorical_crossentropy(labels, prediction):
    """Of probabilities (..., k) and labels (...): clipped, then made to sum to 1."""
    p = np.clip(prediction, EPSILON, 1 - EPSILON)
    total = p.sum(axis=-1, keepdims=True)
    right = np.take_along_axis(p, labels[..., None], axis=-1)
    gradient = np.broadcast_to(1 / total, p.shape).copy()
    np.put_along_axis(gradient, labels[..., None], 1 / total - 1 / right, axis=-1)
    return np.log(total / right)[..., 0], np.where(p == prediction, gradient, 0)


def sparse_categorical_crossentropy_of_logits(labels, logits):
    log_p = _log_softmax(logits)
    index = labels[..., None]
    gradient = np.exp(log_p)
    right = np.take_along_axis(log_p, index, axis=-1)
    np.put_along_axis(gradient, index, np.exp(right) - 1, axis=-1)
    return -right[..., 0], gradient


def dice(target, prediction, axis=None):
    overlap = np.sum(target * prediction, axis=axis, keepdims=True)
    total = np.sum(target, axis=axis, keepdims=True) + np.sum(prediction, axis=axis, keepdims=True) + EPSILON
    values = 1 - 2 * overlap / total
    return _without(values, axis), 2 * (overlap / total - target) / total


def tversky(target, prediction, alpha=0.5, beta=0.5, axis=None):
    """S. Salehi, D. Erdogmus and A. Gholipour, "Tversky loss function for image segmentation", 2017, equation 2.

    Named as in Keras: alpha weighs what is in the target and not in the prediction.
    """
    overlap = np.sum(target * prediction, axis=axis, keepdims=True)
    missed = np.sum((1 - prediction) * target, axis=axis, keepdims=True)
    false = np.sum(prediction * (1 - target), axis=axis, keepdims=True)
    total = overlap + alpha * missed + beta * false + EPSILON
    slope_of_total = target - alpha * target + beta * (1 - target)
    return _without(1 - overlap / total, axis), (overlap * slope_of_total / total - target) / total


def _without(values, axis):
    return values.reshape(()) if axis is None else np.squeeze(values, axis)


def categorical_generalized_cross_entropy(labels, prediction, q):
    """Z. Zhang and M. Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    2018, equation 6; of probabilities (..., k) and labels (...)."""
    index = labels[..., None]
    p = np.take_along_axis(prediction, index, axis=-1)
    gradient = np.zeros_like(prediction)
    np.put_along_axis(gradient, index, -(p ** (q - 1)), axis=-1)
    return ((1 - p**q) / q)[..., 0], gradient
