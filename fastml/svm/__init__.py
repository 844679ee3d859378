"""Support vector machines under scikit-learn's names."""

from fastml.svm._bounds import l1_min_c
from fastml.svm._linear import LinearSVC, LinearSVR
from fastml.svm._one_class import OneClassSVM
from fastml.svm._svc import SVC, NuSVC
from fastml.svm._svr import SVR, NuSVR

__all__ = ["SVC", "SVR", "LinearSVC", "LinearSVR", "NuSVC", "NuSVR", "OneClassSVM", "l1_min_c"]
