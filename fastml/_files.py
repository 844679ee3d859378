"""Files that are there as a whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

TEMPORARY_SUFFIX = ".part"


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` at the end of the block.

    It lies in the same folder until then, and is on the disk before it is renamed: whoever opens ``path``, at any time
    and after any crash, finds the old file or the new one. If the block raises, the old one stays.

    Parameters
    ----------
    path : path

    Yields
    ------
    binary file, open for writing and reading
    """
    # Through a link: it goes on pointing to the file.
    target = os.path.realpath(path)
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    # Not by tempfile, whose files nobody but their owner may read.
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    """Have the name of a file on the disk, too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_unfinished(folder: str | os.PathLike, name: str) -> None:
    """Delete what writers of the file ``name`` left behind that were killed."""
    for entry in os.listdir(folder):
        if entry.startswith(f".{name}.") and entry.endswith(TEMPORARY_SUFFIX):
            os.unlink(os.path.join(folder, entry))
