"""What keeps two threads from changing one object at a time."""

import functools
import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class ForkSafeLock:
    """A lock that its thread may take again, and that is free in a child of ``os.fork`` whoever held it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        # A block that the fork was in is left by the lock that it was entered by.
        self._held: list[Any] = []
        _locks.add(self)

    def __enter__(self) -> None:
        lock = self._lock
        lock.acquire()
        self._held.append(lock)

    def __exit__(self, *error: Any) -> None:
        self._held.pop().release()


_locks: "weakref.WeakSet[ForkSafeLock]" = weakref.WeakSet()


def _renew_all() -> None:
    for lock in _locks:
        lock._lock = threading.RLock()


os.register_at_fork(after_in_child=_renew_all)


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
