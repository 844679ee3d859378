"""What keeps two threads from changing one object at a time."""

import functools
import os
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class ForkSafeLock:
    """A lock that its thread may take again, and that is free in a child of ``os.fork`` whoever held it."""

    def __init__(self) -> None:
        self._renew()

    def _renew(self) -> None:
        self._pid, self._lock = os.getpid(), threading.RLock()
        # A block that the fork was in is left by the lock that it was entered by.
        self._held: list[Any] = getattr(self, "_held", [])

    def __enter__(self) -> None:
        if self._pid != os.getpid():
            self._renew()
        lock = self._lock
        lock.acquire()
        self._held.append(lock)

    def __exit__(self, *error: Any) -> None:
        self._held.pop().release()


class HasLock(Protocol):
    """What has methods that are `exclusive`."""

    _lock: ForkSafeLock


S = TypeVar("S", bound=HasLock)


def exclusive(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Decorator: such methods of one object run in one thread at a time, which may call one from another."""

    @functools.wraps(method)
    def called(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._lock:
            return method(self, *args, **kwargs)

    return called
