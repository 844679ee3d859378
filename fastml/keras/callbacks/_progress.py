"""The progress lines of training, as Keras prints them."""

import math
import sys
import time
from typing import Any

from fastml.keras.callbacks._callback import Callback


class Progbar:
    """A line that counts steps and shows numbers.

    Parameters
    ----------
    target : int or None
        Steps in all, if known.
    width : int, default=20
    verbose : {0, 1, 2}, default=1
        Nothing, a bar that moves, or one line at the end.
    interval : float, default=0.05
        Seconds between two updates of the bar.
    stateful_metrics : iterable of str, default=None
        Those to show as they are; the others are averaged over steps.
    unit_name : str, default="step"
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        unit_name: str = "step",
    ):
        self.target, self.width, self.verbose = target, width, verbose
        self.interval, self.unit_name = interval, unit_name
        self.stateful_metrics = set(stateful_metrics or ())
        self._moves = sys.stdout.isatty() or "ipykernel" in sys.modules
        self._values: dict[str, tuple[float, int]] = {}
        self._seen = 0
        self._start = time.time()
        self._after_first: float | None = None
        self._last_update = 0.0
        self._width = 0

    def is_due(self) -> bool:
        """Whether an update would show."""
        return self.verbose == 1 and time.time() - self._last_update >= self.interval

    def update(self, current: int, values: Any = None, finalize: bool | None = None) -> None:
        """Show that ``current`` steps are done; ``values`` are pairs of names and numbers."""
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        for name, value in values or ():
            if name in self.stateful_metrics or finalize:
                self._values[name] = (value, 1)
            else:
                weight = max(current - self._seen, 1)
                total, count = self._values.get(name, (0.0, 0))
                self._values[name] = (total + value * weight, count + weight)
        self._seen = current
        now = time.time()
        duration = self._duration(current, now)
        if self.verbose == 1 and (finalize or now - self._last_update >= self.interval):
            self._show(self._bar(current, now, duration, finalize), finalize)
            self._last_update = now
        elif self.verbose == 2 and finalize and self.target:
            done = f"{current:{len(str(self.target))}d}/{self.target}"
            sys.stdout.write(
                f"{done} - {now - self._start:.0f}s -{self._per_unit(duration)}{self._numbers()}\n"
            )
            sys.stdout.flush()

    def add(self, n: int, values: Any = None) -> None:
        """Show that ``n`` more steps are done."""
        self.update(self._seen + n, values)

    def _bar(self, current: int, now: float, duration: float, finalize: bool) -> tuple[str, int]:
        """The line, and how many of its characters are not printed."""
        hidden = 0
        if self.target:
            line = f"\x1b[1m{current:{len(str(self.target))}d}/{self.target}\x1b[0m "
            hidden += 8
            done = int(self.width * current / self.target)
            if done:
                line += f"\x1b[32m{'━' * done}\x1b[0m"
                hidden += 9
            line += f"\x1b[37m{'━' * (self.width - done)}\x1b[0m"
            hidden += 9
        else:
            line = f"{current:7d}/Unknown"
        if self.target and not finalize:
            line += f" \x1b[1m{_clock(duration * (self.target - current))}\x1b[0m"
        else:
            line += f" \x1b[1m{now - self._start:.0f}s\x1b[0m"
        return line + self._per_unit(duration) + self._numbers(), hidden + 8

    def _show(self, line: tuple[str, int], finalize: bool) -> None:
        text, hidden = line
        width = len(text) - hidden
        start = "\b" * self._width + "\r" if self._moves else "\n"
        end = " " * max(0, self._width - width) + ("\n" if finalize else "")
        sys.stdout.write(start + text + end)
        sys.stdout.flush()
        self._width = width

    def _numbers(self) -> str:
        text = ""
        for name, (total, count) in self._values.items():
            mean = total / max(1, count)
            text += f" - {name}: {mean:.4f}" if abs(mean) > 1e-3 else f" - {name}: {mean:.4e}"
        return text

    def _per_unit(self, duration: float) -> str:
        if duration >= 1 or duration == 0:
            return f" {duration:.0f}s/{self.unit_name}"
        if duration >= 1e-3:
            return f" {duration * 1e3:.0f}ms/{self.unit_name}"
        return f" {duration * 1e6:.0f}us/{self.unit_name}"

    def _duration(self, current: int, now: float) -> float:
        """Seconds a step, the first one aside, which has to set everything up."""
        if not current:
            return 0.0
        if self._after_first is not None and current > 1:
            return (now - self._after_first) / (current - 1)
        if current == 1:
            self._after_first = now
        return (now - self._start) / current


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "?"
    whole = int(seconds)
    if seconds > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if seconds > 60 else f"{whole}s"


class ProgbarLogger(Callback):
    """Shows the progress of ``fit``, ``evaluate`` and ``predict``."""

    def __init__(self) -> None:
        super().__init__()
        self.progbar: Progbar | None = None
        self.target: int | None = None
        self.verbose: Any = 1
        self.epochs, self.seen = 1, 0
        self._in_fit = False

    def set_params(self, params):
        self.params = params
        self.verbose = 1 if params["verbose"] == "auto" else params["verbose"]
        self.epochs, self.target = params["epochs"], params["steps"]

    def is_due(self) -> bool:
        """Whether it would show the logs of this step."""
        return self.progbar is not None and self.progbar.is_due()

    def _begin(self):
        self.seen = 0
        self.progbar = Progbar(self.target, verbose=self.verbose)

    def on_train_begin(self, logs=None):
        self._in_fit = True

    def on_epoch_begin(self, epoch, logs=None):
        self._begin()
        if self.verbose and self.epochs > 1:
            print(f"Epoch {epoch + 1}/{self.epochs}", flush=True)

    def on_test_begin(self, logs=None):
        if not self._in_fit:
            self._begin()

    def on_predict_begin(self, logs=None):
        self._begin()

    def on_train_batch_end(self, batch, logs=None):
        self._step(batch, logs)

    def on_test_batch_end(self, batch, logs=None):
        if not self._in_fit:
            self._step(batch, logs)

    def on_predict_batch_end(self, batch, logs=None):
        self._step(batch, None)

    def on_epoch_end(self, epoch, logs=None):
        self._finish(logs)

    def on_test_end(self, logs=None):
        if not self._in_fit:
            self._finish(logs)

    def on_predict_end(self, logs=None):
        self._finish(logs)

    def _step(self, batch, logs):
        self.seen = batch + 1
        if self.verbose == 1:
            values = [(name, value) for name, value in (logs or {}).items()]
            assert self.progbar is not None
            self.progbar.stateful_metrics.update(name for name, _ in values)
            self.progbar.update(self.seen, values, finalize=False)

    def _finish(self, logs):
        assert self.progbar is not None
        if self.target is None:
            self.target = self.progbar.target = self.seen
        self.progbar.update(self.target, list((logs or {}).items()), finalize=True)
