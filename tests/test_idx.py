"""The IDX reader: what it reads, and that it gives an error rather than a wrong array."""

import gzip
import hashlib
import math
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastml._idx import read_idx


def encode(array, *, type_code=0x08, shape=None):
    """The bytes of an IDX file; `type_code` and `shape` let the header lie."""
    shape = array.shape if shape is None else shape
    return struct.pack(f">HBB{len(shape)}I", 0, type_code, len(shape), *shape) + array.tobytes()


IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
SOUND = encode(IMAGES)
PACKED = gzip.compress(SOUND)


@pytest.fixture
def write(tmp_path):
    """Write a file of the given bytes and return its path."""

    def write(content):
        path = tmp_path / "digits-idx3-ubyte"
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("content", [SOUND, PACKED], ids=["plain", "gzip"])
def test_reads_plain_and_compressed_files(write, content):
    array = read_idx(write(content))

    np.testing.assert_array_equal(array, IMAGES)
    assert array.dtype == np.uint8
    assert array.flags.c_contiguous
    assert array.flags.writeable


@given(
    array=hnp.arrays(np.uint8, hnp.array_shapes(max_dims=5, min_side=0)),
    compressed=st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, array, compressed):
    path = tmp_path_factory.mktemp("idx") / "array"
    path.write_bytes(gzip.compress(encode(array)) if compressed else encode(array))
    np.testing.assert_array_equal(read_idx(path), array)


@pytest.mark.parametrize("content", [SOUND, PACKED], ids=["plain", "gzip"])
def test_a_file_cut_anywhere_is_refused_by_name(write, content):
    for length in range(len(content)):
        path = write(content[:length])
        with pytest.raises(ValueError, match="truncated") as caught:
            read_idx(path)
        assert str(path) in str(caught.value)


def test_a_flipped_bit_in_a_compressed_file_is_refused_or_harmless(write):
    # Harmless where it hits a field that says nothing of the content, such as the time of compression.
    for position in range(len(PACKED)):
        damaged = bytearray(PACKED)
        damaged[position] ^= 0x10
        path = write(damaged)
        try:
            array = read_idx(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(array, IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(SOUND + b"\0", "goes on after the 24 items", id="trailing byte"),
        pytest.param(gzip.compress(SOUND + b"\0"), "goes on after the 24 items", id="trailing byte, packed"),
        pytest.param(PACKED + b"junk", "corrupted gzip data", id="junk after the gzip member"),
        pytest.param(encode(IMAGES, shape=(3, 3, 4)), "the header says 36 items", id="too few items"),
        pytest.param(encode(IMAGES, shape=(1, 3, 4)), "goes on after the 12 items", id="too many items"),
        pytest.param(encode(IMAGES, type_code=0x0D), "wrong magic number 0x00000d03", id="float items"),
        pytest.param(b"\x01" + SOUND[1:], "wrong magic number", id="no leading zeros"),
        pytest.param(encode(IMAGES, shape=()), "wrong magic number", id="no dimensions"),
        pytest.param(encode(IMAGES, shape=(1,) * 65), "wrong magic number", id="65 dimensions"),
        pytest.param(b"<html><body>sign in</body></html>", "wrong magic number", id="a web page"),
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(encode(IMAGES, shape=(0, *[2**32 - 1] * 3)), "address", id="empty but enormous"),
    ],
)
def test_malformed_file_is_refused_by_name(write, content, message):
    path = write(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("shape", [(2**31, 28), (2**32 - 1, 2**31 - 1)], ids=["60 GB", "8 EiB"])
def test_absurd_sizes_allocate_nothing(write, pack, shape):
    path = write(pack(encode(IMAGES, shape=shape)))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"the header says {math.prod(shape)} items, the file has 24"):
            read_idx(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_another_shape_than_expected_is_refused(write):
    path = write(PACKED)
    assert read_idx(path, shape=(2, 3, 4)).shape == (2, 3, 4)
    with pytest.raises(ValueError, match=r"says shape \(2, 3, 4\), expected \(4, 3, 2\)"):
        read_idx(path, shape=(4, 3, 2))


def test_digest_is_of_the_unpacked_content(write):
    sha256 = hashlib.sha256(SOUND).hexdigest()
    for content in (SOUND, PACKED, gzip.compress(SOUND, compresslevel=0)):
        np.testing.assert_array_equal(read_idx(write(content), sha256=sha256), IMAGES)

    one_pixel_off = bytearray(SOUND)
    one_pixel_off[-1] ^= 1
    with pytest.raises(ValueError, match=f"damaged, .* expected {sha256}"):
        read_idx(write(one_pixel_off), sha256=sha256)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")
