"""What callbacks are made of, and the list that a model calls."""

import warnings
from collections.abc import Callable, Iterable
from typing import Any

Logs = dict[str, Any] | None


class Callback:
    """Something that is told how training goes on.

    Attributes
    ----------
    model : Model
    params : dict
        ``verbose``, ``epochs`` and ``steps``.
    remembered : tuple of str
        The attributes that training goes on with after a restart: numbers, strings, arrays or lists of these.
    """

    remembered: tuple[str, ...] = ()
    # Whether it comes after all others, to see what they did.
    is_last = False

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self._model: Any = None

    @property
    def model(self) -> Any:
        return self._model

    def set_params(self, params: dict[str, Any]) -> None:
        self.params = params

    def set_model(self, model: Any) -> None:
        self._model = model

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None: ...

    def on_batch_end(self, batch: int, logs: Logs = None) -> None: ...

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None: ...

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None: ...

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None: ...

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None: ...

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None: ...

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None: ...

    def on_train_begin(self, logs: Logs = None) -> None: ...

    def on_train_end(self, logs: Logs = None) -> None: ...

    def on_test_begin(self, logs: Logs = None) -> None: ...

    def on_test_end(self, logs: Logs = None) -> None: ...

    def on_predict_begin(self, logs: Logs = None) -> None: ...

    def on_predict_end(self, logs: Logs = None) -> None: ...


class History(Callback):
    """What the logs of each epoch were.

    Attributes
    ----------
    epoch : list of int
    history : dict of str to list of float
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs=None):
        self.epoch = []

    def on_epoch_end(self, epoch, logs=None):
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
        self.model.history = self


class CallbackList(Callback):
    """Callbacks as one.

    Parameters
    ----------
    callbacks : callback or iterable of callbacks, default=None
    add_history, add_progbar : bool
        Whether to add those that ``fit`` has by itself.
    model : Model
    **params
        See `Callback`.
    """

    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        from fastml.keras.callbacks._progress import ProgbarLogger

        super().__init__()
        self.callbacks = list(_flat(callbacks))
        if add_history and not any(isinstance(callback, History) for callback in self.callbacks):
            self.callbacks.append(History())
        if add_progbar and not any(isinstance(callback, ProgbarLogger) for callback in self.callbacks):
            self.callbacks.append(ProgbarLogger())
        # A step of a small model takes as long as some calls of methods that do nothing.
        self._listeners: dict[str, list[Any]] = {}
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    def set_params(self, params):
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model):
        self._model = model
        for callback in self.callbacks:
            if isinstance(callback, History):
                model.history = callback
            callback.set_model(model)

    def listeners(self, hook: str) -> list[Any]:
        """The methods of that name that do something."""
        if hook not in self._listeners:
            default = getattr(Callback, hook)
            through = {"on_train_batch_begin": "on_batch_begin", "on_train_batch_end": "on_batch_end"}
            self._listeners[hook] = [
                getattr(callback, hook)
                for callback in sorted(
                    self.callbacks, key=lambda callback: getattr(callback, "is_last", False)
                )
                if _differs(callback, hook, default)
                or (hook in through and _differs(callback, through[hook], getattr(Callback, through[hook])))
            ]
        return self._listeners[hook]

    def batch_end(self, hook: str, batch: int, logs: Callable[[], dict[str, Any]]) -> None:
        """Tell those who listen; the numbers are computed if somebody is to see them."""
        from fastml.keras.callbacks._progress import ProgbarLogger

        methods = self.listeners(hook)
        only = getattr(methods[0], "__self__", None) if len(methods) == 1 else None
        if isinstance(only, ProgbarLogger) and not only.is_due():
            only.seen = batch + 1
            return
        if methods:
            values = logs()
            for method in methods:
                method(batch, values)

    def call(self, hook: str, *args: Any, logs: Logs = None) -> None:
        for method in self.listeners(hook):
            method(*args, logs)


def _differs(callback: Any, hook: str, default: Any) -> bool:
    return getattr(getattr(callback, hook, default), "__func__", None) is not default


def _forward(hook: str, takes_index: bool) -> Any:
    if takes_index:

        def indexed(self, index, logs=None):
            self.call(hook, index, logs=logs)

        return indexed

    def plain(self, logs=None):
        self.call(hook, logs=logs)

    return plain


for _name in dir(Callback):
    if _name.startswith("on_"):
        setattr(CallbackList, _name, _forward(_name, "batch" in _name or "epoch" in _name))


def _flat(callbacks: Any) -> Iterable[Any]:
    if callbacks is None:
        return
    if isinstance(callbacks, list | tuple):
        for callback in callbacks:
            yield from _flat(callback)
    else:
        yield callbacks


class MonitorCallback(Callback):
    """What acts when a number of the logs gets better, or does not.

    Parameters
    ----------
    monitor : str
    mode : {"auto", "min", "max"}
        Whether less or more is better; "auto" asks the model's metrics.
    baseline : float, default=None
    min_delta : float, default=0
        A smaller change is none.
    """

    def __init__(self, monitor="val_loss", mode="auto", baseline=None, min_delta=0):
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__} mode '{mode}' is unknown, fallback to auto mode.", stacklevel=3
            )
            mode = "auto"
        self.monitor, self.mode = monitor, mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self._sign = 0  # 1 if more is better, -1 if less is

    def ensure_direction(self) -> None:
        """Find out which way is better.

        Raises
        ------
        ValueError
            If that is not known.
        """
        if self._sign:
            return
        if self.mode != "auto":
            self._sign = 1 if self.mode == "max" else -1
            return
        name = self.monitor.removeprefix("val_")
        if name == "loss":
            self._sign = -1
        for metric in self.model.compiled_metrics:
            if metric.name == name and metric.direction:
                self._sign = 1 if metric.direction == "up" else -1
        if not self._sign:
            raise ValueError(
                f"{type(self).__name__} callback received monitor={self.monitor}, but Keras isn't able to "
                "automatically determine whether that metric should be maximized or minimized. Pass `mode='max'` in "
                "order to monitor based on the highest metric value, or pass `mode='min'` in order to use the lowest "
                "value."
            )

    def is_improvement(self, value: Any, reference: Any) -> bool:
        return reference is None or self._sign * (value - reference) > self.min_delta
