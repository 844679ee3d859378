"""Support vector machines under scikit-learn's names."""

from fastml.svm._bounds import l1_min_c
from fastml.svm._linear import LinearSVC, LinearSVR

__all__ = ["LinearSVC", "LinearSVR", "l1_min_c"]
