"""Metrics against scikit-learn and against what they are defined as."""

import json

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from fastml.keras import metrics

RNG = np.random.default_rng(0)
N = 200
YES = RNG.integers(0, 2, N)
SCORES = np.clip(0.5 * YES + 0.5 * RNG.random(N), 0, 1).round(3).astype("float32")
LABELS = RNG.integers(0, 4, N)
PROBABILITIES = RNG.dirichlet(np.ones(4), N)
WEIGHTS = RNG.uniform(0, 2, N)
REAL, PREDICTED = RNG.standard_normal((2, N)).astype("float32")


def in_batches(metric, y_true, y_pred, weights=None):
    """The result of two batches."""
    for part in (slice(0, 70), slice(70, None)):
        metric.update_state(y_true[part], y_pred[part], None if weights is None else weights[part])
    return metric.result()


CASES = [
    (
        metrics.BinaryAccuracy,
        YES,
        SCORES,
        lambda w: sklearn_metrics.accuracy_score(YES, SCORES > 0.5, sample_weight=w),
    ),
    (
        metrics.SparseCategoricalAccuracy,
        LABELS,
        PROBABILITIES,
        lambda w: sklearn_metrics.accuracy_score(LABELS, PROBABILITIES.argmax(1), sample_weight=w),
    ),
    (
        metrics.CategoricalAccuracy,
        np.eye(4)[LABELS],
        PROBABILITIES,
        lambda w: sklearn_metrics.accuracy_score(LABELS, PROBABILITIES.argmax(1), sample_weight=w),
    ),
    (
        lambda: metrics.SparseTopKCategoricalAccuracy(k=2),
        LABELS,
        PROBABILITIES,
        lambda w: sklearn_metrics.top_k_accuracy_score(LABELS, PROBABILITIES, k=2, sample_weight=w),
    ),
    (
        lambda: metrics.TopKCategoricalAccuracy(k=3),
        np.eye(4)[LABELS],
        PROBABILITIES,
        lambda w: sklearn_metrics.top_k_accuracy_score(LABELS, PROBABILITIES, k=3, sample_weight=w),
    ),
    (
        metrics.Precision,
        YES,
        SCORES,
        lambda w: sklearn_metrics.precision_score(YES, SCORES > 0.5, sample_weight=w),
    ),
    (
        lambda: metrics.Recall(thresholds=0.8),
        YES,
        SCORES,
        lambda w: sklearn_metrics.recall_score(YES, SCORES > 0.8, sample_weight=w),
    ),
    (
        metrics.MeanSquaredError,
        REAL,
        PREDICTED,
        lambda w: sklearn_metrics.mean_squared_error(REAL, PREDICTED, sample_weight=w),
    ),
    (
        metrics.MeanAbsoluteError,
        REAL,
        PREDICTED,
        lambda w: sklearn_metrics.mean_absolute_error(REAL, PREDICTED, sample_weight=w),
    ),
    (
        metrics.RootMeanSquaredError,
        REAL,
        PREDICTED,
        lambda w: sklearn_metrics.root_mean_squared_error(REAL, PREDICTED, sample_weight=w),
    ),
    (
        metrics.SparseCategoricalCrossentropy,
        LABELS,
        PROBABILITIES,
        lambda w: sklearn_metrics.log_loss(LABELS, PROBABILITIES, sample_weight=w),
    ),
    # With thresholds closer than scores are, the area is the exact one.
    (
        lambda: metrics.AUC(num_thresholds=4001),
        YES,
        SCORES,
        lambda w: sklearn_metrics.roc_auc_score(YES, SCORES, sample_weight=w),
    ),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_results(case, weighted):
    make, y_true, y_pred, expected = case
    weights = WEIGHTS if weighted else None
    metric = make()
    # A row of predictions per sample, as a model gives them.
    rows = y_pred if y_pred.ndim > 1 else y_pred[:, None]
    targets = y_true if y_true.ndim > 1 or rows.shape[1] > 1 else y_true[:, None]
    assert in_batches(metric, targets, rows, weights) == pytest.approx(expected(weights), rel=2e-5)
    metric.reset_state()
    assert metric.result() == 0
    assert in_batches(metric, targets, rows, weights) == pytest.approx(expected(weights), rel=2e-5)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_weights_of_an_ignored_class_do_not_count(shape):
    left = LABELS != 1
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=1)
    expected = sklearn_metrics.log_loss(
        LABELS[left], PROBABILITIES[left], sample_weight=WEIGHTS[left], labels=range(PROBABILITIES.shape[1])
    )
    for weights in (WEIGHTS, WEIGHTS[:, None]):
        metric.reset_state()
        metric.update_state(LABELS.reshape(shape), PROBABILITIES, weights)
        assert metric.result() == pytest.approx(expected, rel=2e-5)


def test_counts():
    found = SCORES > 0.7
    for cls, mask in (
        (metrics.TruePositives, found & (YES == 1)),
        (metrics.FalsePositives, found & (YES == 0)),
        (metrics.TrueNegatives, ~found & (YES == 0)),
        (metrics.FalseNegatives, ~found & (YES == 1)),
    ):
        assert in_batches(cls(thresholds=0.7), YES, SCORES) == mask.sum()
        np.testing.assert_allclose(
            in_batches(cls(thresholds=[0.7, 1.0]), YES, SCORES, WEIGHTS)[0], WEIGHTS[mask].sum(), rtol=1e-6
        )


def test_precision_of_the_top_k_and_of_one_class():
    one_hot = np.eye(4)[LABELS]
    top = np.sort(PROBABILITIES, axis=1)[:, -2:-1] <= PROBABILITIES
    assert metrics.Precision(top_k=2)(one_hot, PROBABILITIES) == pytest.approx(
        (top & (one_hot == 1)).sum() / (2 * N)
    )
    recall = metrics.Recall(class_id=1, thresholds=0.3)(one_hot, PROBABILITIES)
    assert recall == pytest.approx((PROBABILITIES[LABELS == 1, 1] > 0.3).mean())
    with pytest.raises(ValueError, match=r"Threshold values must be in \[0, 1\]"):
        metrics.Precision(thresholds=[0.5, 2])


def test_auc_options():
    by_hand = metrics.AUC(thresholds=[0.25, 0.5, 0.75], summation_method="minoring")
    between = [-1, 0.25, 0.5, 0.75, 2]
    tpr = [(SCORES[YES == 1] > t).mean() for t in between]
    fpr = [(SCORES[YES == 0] > t).mean() for t in between]
    area = sum((fpr[i] - fpr[i + 1]) * min(tpr[i], tpr[i + 1]) for i in range(4))
    assert by_hand(YES, SCORES) == pytest.approx(area, rel=1e-6)
    precision_recall = metrics.AUC(curve="PR", num_thresholds=4001)(YES, SCORES)
    assert precision_recall == pytest.approx(sklearn_metrics.average_precision_score(YES, SCORES), rel=0.01)
    logits = np.log(np.clip(SCORES, 1e-3, 0.999) / (1 - np.clip(SCORES, 1e-3, 0.999)))
    plain = metrics.AUC()(YES, np.clip(SCORES, 1e-3, 0.999))
    assert metrics.AUC(from_logits=True)(YES, logits) == pytest.approx(plain, rel=1e-3)
    columns = np.stack([YES, 1 - YES], 1), np.stack([SCORES, SCORES], 1)
    both = [metrics.AUC()(columns[0][:, j], columns[1][:, j]) for j in (0, 1)]
    assert metrics.AUC(multi_label=True)(*columns) == pytest.approx(np.mean(both), rel=1e-6)
    weighted = metrics.AUC(multi_label=True, num_labels=2, label_weights=[3.0, 1.0])
    assert weighted(*columns) == pytest.approx((3 * both[0] + both[1]) / 4, rel=1e-6)
    with pytest.raises(ValueError, match="Invalid AUC curve value"):
        metrics.AUC(curve="XYZ")


def test_means_and_sums():
    mean = metrics.Mean()
    mean.update_state([1.0, 3.0, 5.0])
    mean.update_state(np.array([7.0, 100.0]), [1.0, 0.0])
    assert mean.result() == 4.0
    total = metrics.Sum()
    total.update_state([[1.0, 2.0], [3.0, 4.0]])
    assert total.result() == 10.0


@pytest.mark.parametrize(
    "name", ["mse", "MAE", "AUC", "cosine_similarity", "kl_divergence", "hinge", "poisson"]
)
def test_names(name):
    metric = metrics.get(name)
    again = metrics.deserialize(json.loads(json.dumps(metrics.serialize(metric))))
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()


def test_unknown_names():
    with pytest.raises(ValueError, match="Could not interpret metric identifier: luck"):
        metrics.get("luck")
