"""Where `load_mnist` looks, what it downloads, and what it refuses."""

import gzip
import hashlib
import http.server
import os
import struct
import threading
import urllib.request
from functools import partial
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from sklearn.utils import Bunch

from fastml import _idx
from fastml.datasets import load_mnist
from fastml.exceptions import DatasetUnavailableError

FASTML_DATA = os.environ.get("FASTML_DATA")  # before the fixture below hides it

NAMES = [file.name for file in _idx._MNIST_FILES]


def small_mnist():
    """Arrays of MNIST's kind with three training and two test images."""
    rng = np.random.default_rng(0)
    shapes = [(3, 28, 28), (3,), (2, 28, 28), (2,)]
    return {
        name: rng.integers(0, 256 if len(shape) == 3 else 10, shape, dtype=np.uint8)
        for name, shape in zip(NAMES, shapes)
    }


def encode(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 0x08, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """No test reaches beyond the machine; one that should fetch puts a mirror of its own in place."""

    def refuse(url, **_):
        raise URLError("no network in this test")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, and no FASTML_DATA: the folder that the files would come to lie in."""
    monkeypatch.delenv("FASTML_DATA", raising=False)
    monkeypatch.setenv("FASTML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist"


@pytest.fixture
def mnist(monkeypatch):
    """Have the loader take the small arrays for MNIST, and return them by file name."""
    arrays = small_mnist()
    files = tuple(
        _idx._IdxFile(name, array.shape, hashlib.sha256(encode(array)).hexdigest())
        for name, array in arrays.items()
    )
    monkeypatch.setattr(_idx, "_MNIST_FILES", files)
    return arrays


def write_files(folder, arrays, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        content = encode(array)
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        self.server.n_requests += 1


@pytest.fixture
def serve(monkeypatch):
    """Serve folders on this machine, one mirror each, in the place of MNIST's mirrors."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    servers = []

    def serve(*folders):
        monkeypatch.setattr(urllib.request, "urlopen", opener.open)
        for folder in folders:
            handler = partial(QuietHandler, directory=str(folder))
            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
            server.n_requests = 0
            threading.Thread(target=server.serve_forever, daemon=True).start()
            servers.append(server)
        mirrors = tuple(f"http://127.0.0.1:{server.server_port}/" for server in servers)
        monkeypatch.setattr(_idx, "_MNIST_MIRRORS", mirrors)
        return servers

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


# What it returns


def test_bunch_holds_normalized_rows(mnist, cache):
    write_files(cache, mnist)
    data = load_mnist()

    assert isinstance(data, Bunch)
    assert set(data) == {"X_train", "y_train", "X_test", "y_test", "source"}
    for X, images in ((data.X_train, mnist[NAMES[0]]), (data.X_test, mnist[NAMES[2]])):
        assert X.dtype == np.float32
        assert X.flags.c_contiguous
        np.testing.assert_array_equal(X, images.reshape(-1, 784).astype(np.float32) / np.float32(255))
    for y, labels in ((data.y_train, mnist[NAMES[1]]), (data.y_test, mnist[NAMES[3]])):
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, labels)


def test_raw_pixels_as_pairs(mnist, cache):
    write_files(cache, mnist)
    (X_train, y_train), (X_test, y_test) = load_mnist(normalize=False, return_X_y=True)

    assert X_train.dtype == X_test.dtype == np.uint8
    np.testing.assert_array_equal(X_train, mnist[NAMES[0]].reshape(3, 784))
    np.testing.assert_array_equal(X_test, mnist[NAMES[2]].reshape(2, 784))
    assert y_train.shape == (3,)
    assert y_test.shape == (2,)


@pytest.mark.skipif(not FASTML_DATA, reason="FASTML_DATA is not set: no MNIST to read")
def test_mnist_itself(monkeypatch):
    monkeypatch.setenv("FASTML_DATA", FASTML_DATA)
    data = load_mnist()

    assert data.source == "FASTML_DATA"
    assert data.X_train.shape == (60_000, 784)
    assert data.X_test.shape == (10_000, 784)
    assert data.X_train.min() == 0
    assert data.X_train.max() == 1
    np.testing.assert_array_equal(data.y_train[:10], [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])
    np.testing.assert_array_equal(data.y_test[:10], [7, 2, 1, 0, 4, 1, 4, 9, 5, 9])
    assert np.bincount(data.y_train).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


# Where it looks


@pytest.mark.parametrize("folder", ["mnist", "."])
@pytest.mark.parametrize("suffix", [".gz", ""], ids=["gzip", "plain"])
def test_data_directory(monkeypatch, tmp_path, mnist, folder, suffix):
    write_files(tmp_path / "data" / folder, mnist, suffix)
    monkeypatch.setenv("FASTML_DATA", str(tmp_path / "data"))
    data = load_mnist()

    assert data.source == "FASTML_DATA"
    np.testing.assert_array_equal(data.y_train, mnist[NAMES[1]])


def test_data_directory_without_a_file_names_it_even_if_the_cache_has_it(monkeypatch, tmp_path, mnist, cache):
    write_files(cache, mnist)
    data_directory = tmp_path / "data"
    write_files(data_directory / "mnist", mnist)
    (data_directory / "mnist" / f"{NAMES[1]}.gz").unlink()
    monkeypatch.setenv("FASTML_DATA", str(data_directory))

    with pytest.raises(
        FileNotFoundError, match=f"FASTML_DATA is set, but {NAMES[1]}.gz is neither"
    ) as caught:
        load_mnist()
    assert str(data_directory) in str(caught.value)


def test_empty_data_directory_variable_counts_as_unset(monkeypatch, mnist, cache):
    write_files(cache, mnist)
    monkeypatch.setenv("FASTML_DATA", "")
    assert load_mnist().source == "cache"


def test_cache_directories(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTML_CACHE", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert _idx._cache_directory() == tmp_path / "own"
    monkeypatch.delenv("FASTML_CACHE")
    assert _idx._cache_directory() == tmp_path / "shared" / "fastml"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert _idx._cache_directory() == Path.home() / ".cache" / "fastml"


# What it refuses


@pytest.mark.parametrize("where", ["data directory", "cache"])
def test_damaged_file_is_named(monkeypatch, mnist, cache, where):
    write_files(cache, mnist)
    if where == "data directory":
        monkeypatch.setenv("FASTML_DATA", str(cache))
    damaged = cache / f"{NAMES[2]}.gz"
    damaged.write_bytes(damaged.read_bytes()[:-20])
    with pytest.raises(ValueError, match=f"{damaged}: truncated or corrupted"):
        load_mnist()


def test_other_images_of_the_same_shape_are_not_mnist(mnist, cache):
    write_files(cache, mnist | {NAMES[0]: 255 - mnist[NAMES[0]]})
    with pytest.raises(ValueError, match=f"{NAMES[0]}.gz: damaged, or not the file that its name says"):
        load_mnist()


# What it downloads


def test_without_network_the_error_says_what_was_tried(cache):
    with pytest.raises(DatasetUnavailableError, match=r"no network in this test.*FASTML_DATA") as caught:
        load_mnist()
    for mirror in ("ossci-datasets.s3.amazonaws.com", "storage.googleapis.com"):
        assert mirror in str(caught.value)
    assert not cache.exists()


def test_download_can_be_forbidden(monkeypatch, mnist, cache):
    write_files(cache, mnist)
    (cache / f"{NAMES[3]}.gz").unlink()
    with pytest.raises(DatasetUnavailableError, match=f"{NAMES[3]}.gz not in .*download_if_missing is False"):
        load_mnist(download_if_missing=False)


def test_downloads_once_with_a_progress_bar(tmp_path, mnist, cache, serve, capsys):
    write_files(tmp_path / "mirror", mnist)
    (mirror,) = serve(tmp_path / "mirror")
    first = load_mnist()
    second = load_mnist()

    assert (first.source, second.source) == ("download", "cache")
    assert mirror.n_requests == 4
    np.testing.assert_array_equal(first.X_train, second.X_train)
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{name}.gz" for name in NAMES)
    assert f"{NAMES[0]}.gz: 100%" in capsys.readouterr().err


def test_downloads_only_what_the_cache_lacks(tmp_path, mnist, cache, serve):
    write_files(tmp_path / "mirror", mnist)
    write_files(cache, mnist)
    (cache / f"{NAMES[3]}.gz").unlink()
    (mirror,) = serve(tmp_path / "mirror")

    assert load_mnist().source == "download"
    assert mirror.n_requests == 1


def test_a_mirror_with_other_content_gives_way_to_the_next(tmp_path, mnist, serve):
    write_files(tmp_path / "bad", mnist | {NAMES[1]: 9 - mnist[NAMES[1]]})
    write_files(tmp_path / "good", mnist)
    bad, good = serve(tmp_path / "bad", tmp_path / "good")

    np.testing.assert_array_equal(load_mnist().y_train, mnist[NAMES[1]])
    assert (bad.n_requests, good.n_requests) == (4, 1)


@pytest.mark.parametrize("kept_bytes", [0, 20], ids=["empty", "cut"])
def test_a_bad_download_leaves_nothing_in_the_cache(tmp_path, mnist, cache, serve, kept_bytes):
    write_files(tmp_path / "mirror", mnist)
    last = tmp_path / "mirror" / f"{NAMES[3]}.gz"
    last.write_bytes(last.read_bytes()[:kept_bytes])
    serve(tmp_path / "mirror")

    with pytest.raises(DatasetUnavailableError, match="truncated"):
        load_mnist()
    assert sorted(path.name for path in cache.iterdir()) == sorted(f"{name}.gz" for name in NAMES[:3])


def test_a_missing_page_is_reported(tmp_path, mnist, serve):
    serve(tmp_path)
    with pytest.raises(DatasetUnavailableError, match="HTTP Error 404"):
        load_mnist()


def test_an_endless_download_is_cut_off(monkeypatch, tmp_path, mnist, serve):
    write_files(tmp_path / "mirror", mnist)
    serve(tmp_path / "mirror")
    monkeypatch.setattr(_idx, "_MAX_DOWNLOAD_BYTES", 100)
    with pytest.raises(DatasetUnavailableError, match="longer than 100 bytes"):
        load_mnist()


def test_a_write_that_fails_leaves_no_file(monkeypatch, tmp_path):
    def fail(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        _idx._write_atomically(tmp_path / "file.gz", b"content")
    assert list(tmp_path.iterdir()) == []
