"""The IDX file format, and the MNIST handwritten digits that come in it.

IDX is a magic number (two zero bytes, a type code, the number of dimensions), one big-endian 32-bit size per
dimension, then the items in C order. The MNIST files, their names and their order are those of Y. LeCun,
C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits" (1998).

Everything in a file is checked before it is believed: what comes back is the array that was asked for, or
nothing.
"""

import gzip
import hashlib
import io
import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np

from fastml._progress import progress_bar
from fastml.exceptions import DatasetUnavailableError

__all__ = ["MnistArrays", "load_mnist_arrays", "read_idx"]

_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 0x08
_MAX_NDIM = 64  # NumPy's own limit
_CHUNK_BYTES = 1 << 20

_TIMEOUT_SECONDS = 20
_MAX_DOWNLOAD_BYTES = 32 << 20  # the largest MNIST file has 10 MB: more is not MNIST


class _IdxFile(NamedTuple):
    """One file of a data set: its name, its shape, and the SHA-256 of its unpacked content.

    The digest is of the content because compression is not unique: two sound .gz files of one array differ.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str


_MNIST_FILES = (
    _IdxFile(
        "train-images-idx3-ubyte",
        (60_000, 28, 28),
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    _IdxFile(
        "train-labels-idx1-ubyte",
        (60_000,),
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    _IdxFile(
        "t10k-images-idx3-ubyte",
        (10_000, 28, 28),
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    _IdxFile(
        "t10k-labels-idx1-ubyte",
        (10_000,),
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)

_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)


class MnistArrays(NamedTuple):
    """MNIST as its files hold it: uint8, in their order, and where they were found."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    source: str


def read_idx(
    path: str | os.PathLike[str], *, shape: tuple[int, ...] | None = None, sha256: str | None = None
) -> np.ndarray:
    """Read an IDX file of unsigned bytes, gzip-compressed or plain.

    Parameters
    ----------
    path : str or path-like
        The file. Whether it is compressed is told from its first bytes, not from its name.
    shape : tuple of int, optional
        The shape that the file must have.
    sha256 : str, optional
        The SHA-256, in hexadecimal, that the unpacked file must have.

    Returns
    -------
    ndarray of uint8
        C-contiguous and writable.

    Raises
    ------
    ValueError
        If the file is truncated, has bytes after its last item, fails gzip's own checksum, is no IDX file of
        unsigned bytes, or has another shape or digest than the one asked for. The message names the file.
    OSError
        If the file cannot be opened or read.
    """
    with open(path, "rb") as file:
        return _parse_idx(file, os.fspath(path), shape, sha256)


def load_mnist_arrays(*, download_if_missing: bool = True) -> MnistArrays:
    """Find, or download, the four MNIST files and read them.

    They are looked for in the directory that the environment variable ``FASTML_DATA`` names (in its folder
    ``mnist``, or directly in it) and, where that is not set or empty, in the cache: the folder ``mnist`` of
    ``FASTML_CACHE``, else of ``$XDG_CACHE_HOME/fastml``, else of ``~/.cache/fastml``. Files that the cache
    lacks are downloaded into it. Every file's content is held to its SHA-256, wherever it was found.

    Parameters
    ----------
    download_if_missing : bool, default=True
        If False, raise where the cache lacks a file.

    Returns
    -------
    MnistArrays
        ``train_images`` (60000, 28, 28), ``train_labels`` (60000,), ``test_images`` (10000, 28, 28) and
        ``test_labels`` (10000,), all uint8, and ``source``: "FASTML_DATA", "cache" or "download".

    Raises
    ------
    FileNotFoundError
        If ``FASTML_DATA`` is set and a file is not there.
    ValueError
        If a file is not, byte for byte, the MNIST file of its name. The message names it; one in the cache
        is downloaded again after it has been deleted.
    DatasetUnavailableError
        If the cache lacks a file and it cannot, or must not, be downloaded.
    """
    data_directory = os.environ.get("FASTML_DATA")
    if data_directory:
        paths, source = _find_in_data_directory(Path(data_directory).expanduser()), "FASTML_DATA"
    else:
        paths, source = _find_in_cache(_cache_directory() / "mnist", download_if_missing)
    train_images, train_labels, test_images, test_labels = (
        read_idx(path, shape=file.shape, sha256=file.sha256) for path, file in zip(paths, _MNIST_FILES)
    )
    return MnistArrays(train_images, train_labels, test_images, test_labels, source)


# The format


def _parse_idx(
    file: io.BufferedIOBase, name: str, shape: tuple[int, ...] | None = None, sha256: str | None = None
) -> np.ndarray:
    """Read an IDX array from a seekable binary file; errors call it `name`."""
    with _unpacked(file, name) as stream:
        header, claimed_shape = _read_header(stream, name)
        if shape is not None and claimed_shape != shape:
            raise ValueError(f"{name}: the header says shape {claimed_shape}, expected {shape}")
        payload = _read_payload(stream, math.prod(claimed_shape), name)
    if sha256 is not None:
        digest = hashlib.sha256(header)
        digest.update(payload)
        if digest.hexdigest() != sha256:
            raise ValueError(
                f"{name}: damaged, or not the file that its name says: the SHA-256 of its unpacked content "
                f"is {digest.hexdigest()}, expected {sha256}"
            )
    return np.frombuffer(payload, dtype=np.uint8).reshape(claimed_shape)


@contextmanager
def _unpacked(file: io.BufferedIOBase, name: str) -> Iterator[io.BufferedIOBase]:
    """Give `file`'s content with any gzip wrapping taken off; a damaged wrapping is a ValueError."""
    compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
    file.seek(0)
    if not compressed:
        yield file
        return
    try:
        with gzip.GzipFile(fileobj=file) as stream:
            yield stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{name}: truncated or corrupted gzip data: {error}") from error


def _read_header(stream: io.BufferedIOBase, name: str) -> tuple[bytes, tuple[int, ...]]:
    magic = stream.read(4)
    if len(magic) < 4:
        raise ValueError(f"{name}: truncated: an IDX file starts with 4 bytes of magic number")
    zeros, type_code, ndim = struct.unpack(">HBB", magic)
    if zeros != 0 or type_code != _UNSIGNED_BYTE or not 1 <= ndim <= _MAX_NDIM:
        raise ValueError(
            f"{name}: wrong magic number 0x{magic.hex()}: an IDX file of unsigned bytes starts with "
            "0x000008 and its number of dimensions"
        )
    sizes = stream.read(4 * ndim)
    if len(sizes) < 4 * ndim:
        raise ValueError(f"{name}: truncated: the file ends within its {ndim} dimension sizes")
    shape = struct.unpack(f">{ndim}I", sizes)
    # NumPy refuses such a shape even where a size of 0 makes it empty.
    if math.prod(max(size, 1) for size in shape) > np.iinfo(np.intp).max:
        raise ValueError(f"{name}: the header says shape {shape}, more than memory can address")
    return magic + sizes, shape


def _read_payload(stream: io.BufferedIOBase, n_items: int, name: str) -> bytearray:
    """Read the items, which must be all that is left.

    Memory grows with what the file holds, never with what its header claims.
    """
    payload = bytearray()
    # One byte more than there should be shows trailing bytes, and makes gzip compare its checksum.
    while chunk := stream.read(min(_CHUNK_BYTES, n_items + 1 - len(payload))):
        payload += chunk
    if len(payload) < n_items:
        raise ValueError(f"{name}: truncated: the header says {n_items} items, the file has {len(payload)}")
    if len(payload) > n_items:
        raise ValueError(f"{name}: the file goes on after the {n_items} items that its header says")
    return payload


# Where MNIST lies


def _find_in_data_directory(directory: Path) -> list[Path]:
    folders = (directory / "mnist", directory)
    paths = {file.name: _find_file(folders, file.name) for file in _MNIST_FILES}
    missing = [f"{name}.gz" for name, path in paths.items() if path is None]
    if missing:
        raise FileNotFoundError(
            f"FASTML_DATA is set, but {', '.join(missing)} is neither in {folders[0]} nor in {folders[1]}"
        )
    return [path for path in paths.values() if path is not None]


def _find_file(folders: Iterable[Path], name: str) -> Path | None:
    candidates = (folder / candidate for folder in folders for candidate in (f"{name}.gz", name))
    return next((path for path in candidates if path.is_file()), None)


def _cache_directory() -> Path:
    own = os.environ.get("FASTML_CACHE")
    if own:
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "fastml"


def _find_in_cache(folder: Path, download_if_missing: bool) -> tuple[list[Path], str]:
    paths = [folder / f"{file.name}.gz" for file in _MNIST_FILES]
    missing = [(path, file) for path, file in zip(paths, _MNIST_FILES) if not path.is_file()]
    if missing and not download_if_missing:
        names = ", ".join(path.name for path, _ in missing)
        raise DatasetUnavailableError(f"MNIST: {names} not in {folder}, and download_if_missing is False")
    for path, file in missing:
        _write_atomically(path, _download(file))
    return paths, "download" if missing else "cache"


def _download(file: _IdxFile) -> bytes:
    """Fetch a file's .gz from the first mirror that has the right content."""
    from http.client import HTTPException

    refusals = []
    for mirror in _MNIST_MIRRORS:
        url = f"{mirror}{file.name}.gz"
        try:
            content = _fetch(url)
            _parse_idx(io.BytesIO(content), "the download", file.shape, file.sha256)
        except (OSError, HTTPException, ValueError) as error:
            refusals.append(f"{urlsplit(url).netloc}: {error}")
        else:
            return content
    raise DatasetUnavailableError(
        f"MNIST: {file.name}.gz is not in the cache and cannot be downloaded ({'; '.join(refusals)}). Where "
        "there is no network, set FASTML_DATA to a directory that holds the four files."
    )


def _fetch(url: str) -> bytes:
    from urllib.request import urlopen

    content = bytearray()
    with urlopen(url, timeout=_TIMEOUT_SECONDS) as response:
        length = response.headers.get("Content-Length")
        total = int(length) if length is not None else None
        with progress_bar(total, url.rpartition("/")[2], unit="B", show=True) as progress:
            while chunk := response.read(1 << 16):
                content += chunk
                progress.update(len(chunk))
                if len(content) > _MAX_DOWNLOAD_BYTES:
                    raise ValueError(f"longer than {_MAX_DOWNLOAD_BYTES} bytes")
    return bytes(content)


def _write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that no process, this one after a crash included, sees a part of it."""
    from tempfile import TemporaryDirectory

    path.parent.mkdir(parents=True, exist_ok=True)
    # A file made in a temporary directory has the permissions of the umask; mkstemp's would be private.
    with TemporaryDirectory(prefix=".download-", dir=path.parent) as folder:
        unfinished = Path(folder) / path.name
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
