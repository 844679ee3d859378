"""Callbacks, by Keras' names."""

from fastml.keras.callbacks._backup import BackupAndRestore
from fastml.keras.callbacks._callback import Callback, CallbackList, History, MonitorCallback
from fastml.keras.callbacks._files import CSVLogger, ModelCheckpoint
from fastml.keras.callbacks._progress import ProgbarLogger
from fastml.keras.callbacks._stopping import (
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ReduceLROnPlateau,
    TerminateOnNaN,
)

__all__ = [
    "BackupAndRestore",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
