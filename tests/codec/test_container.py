"""The compressed file: whole, or refused in a sentence."""

import io
import lzma
import struct
import zlib

import numpy as np
import pytest

import refold
from refold import CompressedFileError, Compressor
from refold.codec import ArrayHead, Bound, RefzWriter, pack, read_contents, ways_of


@pytest.fixture(scope="module")
def data():
    values = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    return Compressor(max_error=0.01).compress(values)


def test_every_flipped_bit_is_noticed(data):
    for place in range(len(data)):
        for bit in range(8):
            other = bytearray(data)
            other[place] ^= 1 << bit
            with pytest.raises(CompressedFileError):
                refold.decompress(bytes(other))


def test_every_cut_is_noticed(data):
    for end in range(len(data)):
        with pytest.raises(CompressedFileError):
            refold.decompress(data[:end])


@pytest.mark.slow
def test_ten_thousand_damaged_files_are_refused():
    rng = np.random.default_rng(0)
    whole = [
        Compressor(max_error=bound).compress(values)
        for bound in (0, 0.01, "1e-3rel", "1e-3pw")
        for values in (rng.normal(size=(40, 9)), np.cumsum(rng.normal(size=500)).astype(np.float32))
    ]
    for case in range(10_000):
        data = bytearray(whole[case % len(whole)])
        if case % 3 == 0:
            del data[rng.integers(len(data)) :]
        else:
            for place in rng.choice(len(data), rng.integers(1, 9), replace=False):
                data[place] ^= 1 << rng.integers(8)
        with pytest.raises(CompressedFileError):
            refold.decompress(bytes(data))


def test_what_follows_the_end_is_noticed(data):
    with pytest.raises(CompressedFileError, match="follows"):
        refold.decompress(data + b"\0")


def sealed(*sections):
    """A file of sections (letter, content) with right checksums, as only a hostile writer makes it."""
    parts = [b"refz\x01"]
    for letter, content in sections:
        length, rest = b"", len(content)
        while rest > 127:
            length, rest = length + bytes([rest & 127 | 128]), rest >> 7
        section = letter + length + bytes([rest]) + content
        parts.append(section + struct.pack("<I", zlib.crc32(section)))
    return b"".join(parts)


def head(**changed):
    file = io.BytesIO()
    RefzWriter(file).begin(ArrayHead(**({"name": "", "dtype": "<f4", "record": (5,), "rows": 60} | changed)))
    return file.getvalue()[7:-4]


@pytest.mark.parametrize("sections", [
    [(b"B", b"\x01\0\0\0\0\0"), (b"Z", b"")],
    [(b"A", b""), (b"Z", b"")],
    [(b"A", head()[:-1]), (b"Z", b"")],
    [(b"A", head(dtype="|O")), (b"Z", b"")],
    [(b"A", head(dtype="<U9")), (b"Z", b"")],
    [(b"A", head(record=(1 << 40,))), (b"Z", b"")],
    [(b"A", head(rows=1 << 60)), (b"Z", b"")],
    [(b"A", head()), (b"B", b"\xff\x7f\0\0\0\0\0"), (b"Z", b"")],
    [(b"A", head()), (b"B", b"\x00\0\0\0\0\0"), (b"Z", b"")],
    [(b"A", head()), (b"B", b"\x3c\0\0\0\0\x00abc"), (b"Z", b"")],
    [(b"A", head()), (b"B", b"\x3c\0\0\0\0\x01abc"), (b"Z", b"")],
    [(b"A", head()), (b"B", b"\x3c\0\0\0\0\x10"), (b"Z", b"")],
    [(b"A", head()), (b"B", b"\x3c\0\0\0\0\x20\x01m"), (b"Z", b"")],
    [(b"A", head(model=b"12345678")), (b"B", b"\x3c\0\0\0\0\x20\x01m"), (b"Z", b"")],
    [(b"M", b"\x20\x05abc"), (b"Z", b"")],
    [(b"Q", b""), (b"Z", b"")],
    [],
])  # fmt: skip
def test_hostile_files_are_refused(sections):
    try:
        found = refold.decompress(sealed(*sections))
    except CompressedFileError as error:
        assert "\n" not in str(error)
        return
    assert found == {}  # a model alone is no harm


def test_values_other_than_those_that_were_written_are_never_given_back():
    """As from a processor that reckons differently: all sections are right, and the values are not."""
    values, file = np.arange(12.0).reshape(4, 3), io.BytesIO()
    writer = RefzWriter(file)
    writer.begin(ArrayHead("", "<f8", (3,), 4))
    writer.block(4, values + 1e-9, pack(values, Bound(0), ways_of(b"")).data)
    writer.end()
    with pytest.raises(CompressedFileError, match="other values"):
        refold.decompress(file.getvalue())


def test_bombs_are_refused_before_memory_is_taken():
    zeros = Compressor().compress(np.zeros(1_000_000))
    assert len(zeros) < 20_000
    with pytest.raises(CompressedFileError, match="max_memory"):
        refold.decompress(zeros, max_memory=1_000_000)


def test_a_block_of_lzma_gives_no_more_than_it_may():

    bomb = lzma.compress(bytes(1 << 24), lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2, "preset": 6}])
    with pytest.raises(CompressedFileError, match="bytes"):
        refold.decompress(sealed((b"A", head()), (b"B", b"\x3c\0\0\0\0\x01" + bomb), (b"Z", b"")))


def test_contents_are_known_without_decoding(data):
    (entry,) = read_contents(io.BytesIO(data)).arrays
    assert entry.shape == (60, 5)
    assert entry.head.dtype == "<f4"
    assert entry.head.bound == "0.01"
    assert entry.compressed < len(data)


def test_a_newer_format_is_named(data):
    with pytest.raises(CompressedFileError, match="newer"):
        refold.decompress(data[:4] + b"\x02" + data[5:])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(refold.DataError, match="cannot be read"):
        refold.decompress(tmp_path / "none.refz")
