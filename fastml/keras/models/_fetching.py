"""What threads fetch before it is asked for."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


def fetched_ahead(
    fetch: Callable[[int], Any], indices: Iterable[int], n_threads: int, n_ahead: int
) -> Iterator[Any]:
    """``fetch(index)`` for each index, in their order, each called in one of some threads.

    At most ``n_ahead`` wait to be taken. Where the iterator is closed, or a call raises, no further one begins, and
    those under way are waited for.
    """
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(n_threads, "fastml-dataset") as threads:
        try:
            for index in indices:
                waiting.append(threads.submit(fetch, index))
                if len(waiting) > n_ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for call in waiting:
                call.cancel()
