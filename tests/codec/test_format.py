"""What docs/format.md says is what is written: a reader made from that page alone reads files."""

import io
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from refold.codec import ArrayHead, BitWriter, Bound, RefzWriter, pack, ways_of

PAGE = Path(__file__).parents[2] / "docs" / "format.md"


class Reader:
    """The range coder and whole numbers, as the page has them: Python's numbers only, and `np.float32`."""

    def __init__(self, data):
        self.words = [word for (word,) in struct.iter_unpack("<I", data)]
        self.low, self.range, self.at = 0, (1 << 64) - 1, 2
        self.point = (self.word(0) << 32) | self.word(1)

    def word(self, at):
        return self.words[at] if at < len(self.words) else 0

    def symbol(self, starts):
        scale = self.range >> 24
        quantile = ((self.point - self.low) % (1 << 64)) // scale
        found = max(number for number, start in enumerate(starts) if start <= quantile)
        left, right = (*starts, 1 << 24)[found : found + 2]
        self.low, self.range = (self.low + scale * left) % (1 << 64), scale * (right - left)
        if self.range < 1 << 32:
            self.low, self.range = (self.low << 32) % (1 << 64), self.range << 32
            self.point, self.at = ((self.point << 32) | self.word(self.at)) % (1 << 64), self.at + 1
        return found

    def decide(self, chance):
        return self.symbol((0, (((65536 - chance) * ((1 << 24) - 2)) >> 16) + 1))

    def choose(self, weights):
        scale = np.float32((1 << 24) - len(weights)) / np.float32(sum(weights))
        below = [sum(weights[:number]) for number in range(len(weights))]
        return self.symbol([int(np.float32(sums) * scale) + number for number, sums in enumerate(below)])

    def draw(self, count, width):
        found = [0] * count
        for shift in range(0, width, 16):
            part = min(16, width - shift)
            for number in range(count):
                found[number] |= self.symbol([k << (24 - part) for k in range(1 << part)]) << shift
        return found


def numbers_of(reader, count, seen):
    """A batch of whole numbers in one context, whose counts are `seen`: {column: [no, yes]}."""
    noted = []

    def decide(column):
        no, yes = seen.get(column, (0, 0))
        bit = reader.decide(min(max((2 * yes + 1) * 65536 // (2 * (no + yes) + 2), 1), 65535))
        noted.append((column, bit))
        return bit

    classes, above = [0] * count, list(range(count))
    for level in range(62):
        above = [at for at in above if decide(level)]
        for at in above:
            classes[at] += 1
    negative = {at for at in range(count) if classes[at] and decide(63)}
    sizes = [int(each > 0) for each in classes]
    for at in range(count):
        if classes[at] >= 2:
            sizes[at] = 2 * sizes[at] + decide(64 + classes[at])
    for at in range(count):
        if classes[at] >= 3:
            sizes[at] = 2 * sizes[at] + decide(127 + 2 * classes[at] + sizes[at] % 2)
    for each in sorted({each for each in classes if each > 3}):
        which = [at for at in range(count) if classes[at] == each]
        for at, low in zip(which, reader.draw(len(which), each - 3), strict=True):
            sizes[at] = (sizes[at] << (each - 3)) | low
    for column, bit in noted:
        seen.setdefault(column, [0, 0])[bit] += 1
    return [-size if at in negative else size for at, size in enumerate(sizes)]


def length_at(data, at):
    found = shift = 0
    while True:
        found |= (data[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 128:
            return found, at


def values_of(file):
    """Arrays of float32 in the plainest way with map `q`: all that one needs for these files."""
    assert file[:5] == b"refz\x01"
    at, blocks = 5, []
    while True:
        start, letter = at, file[at : at + 1]
        length, at = length_at(file, at + 1)
        content, at = file[at : at + length], at + length + 4
        assert zlib.crc32(file[start : at - 4]) == struct.unpack("<I", file[at - 4 : at])[0]
        if letter == b"Z":
            return np.concatenate(blocks)
        if letter == b"B":
            rows, place = length_at(content, 0)
            assert content[place + 4] == 16
            described, body = length_at(content, place + 5)
            kind, unit = struct.unpack("<cd", content[body : body + described])
            assert kind in (b"m", b"q")
            assert content[body + described] == 0  # special values
            step = 16 if kind == b"m" else 1
            reader, seen, total, found = Reader(content[body + described + 1 :]), {}, 0, []
            for begin in range(0, rows, 1024):
                for number in numbers_of(reader, min(1024, rows - begin), seen):
                    total += number
                    found.append(np.float64(total * step) * unit)
            blocks.append(np.array(found).astype("<f4"))
            assert zlib.crc32(blocks[-1].tobytes()) == struct.unpack("<I", content[place : place + 4])[0]


def test_a_reader_from_the_page_alone_reads_a_file():
    rng = np.random.default_rng(0)
    values = (np.cumsum(rng.standard_t(1.5, 1500)) * 3).astype(np.float32)
    file, ways = io.BytesIO(), {16: ways_of(b"")[16]}
    writer = RefzWriter(file)
    writer.begin(ArrayHead("x", "<f4", (), len(values), bound="0.01"))
    packed = pack(values, Bound(0.01), ways)
    assert packed.way == 16
    writer.block(len(values), packed.values, packed.data)
    writer.end()
    found = values_of(file.getvalue())
    assert (found == packed.values).all()
    assert np.abs(found.astype(float) - values).max() <= 0.01


@pytest.mark.parametrize("seed", range(3))
def test_the_range_coder_is_the_one_of_the_page(seed):
    rng = np.random.default_rng(seed)
    writer, told = BitWriter(), []
    for _ in range(150):
        kind = rng.integers(3)
        if kind == 0:
            chance = int(rng.choice([1, 65535, rng.integers(1, 65536)]))
            told.append(("decide", (chance,), bool(rng.random() < chance / 65536)))
            writer.decide(np.array([chance]), np.array([told[-1][2]]))
        elif kind == 1:
            weights = rng.integers(1, rng.choice([3, 65536]), rng.integers(2, 257))
            told.append(("choose", (weights.tolist(),), int(rng.integers(len(weights)))))
            writer.choose(weights[None], np.array([told[-1][2]]))
        else:
            width = int(rng.integers(1, 40))
            told.append(("draw", (3, width), rng.integers(0, 1 << width, 3).tolist()))
            writer.draw(3, width, np.array(told[-1][2]))
    reader = Reader(writer.to_bytes())
    for number, (method, given, true) in enumerate(told):
        assert getattr(reader, method)(*given) == true, f"{method} {number}"


TABLES = """
import decimal, zlib
import numpy as np
decimal.getcontext().prec, decimal.getcontext().rounding = 4, decimal.ROUND_UP
from refold.codec import _lattice, _learned_lattice, _logistic, _mixing, _raster
logistic = _logistic._tables()
for name, table in {
    "LOG": _mixing._LOGS, "POW": _mixing._POWERS, "GEOMETRIC": _lattice._PRIOR, "LOGISTIC": _learned_lattice._PRIOR,
    "NARROW": logistic.narrow, "SHARE": logistic.shares, "BELOW": logistic.below,
    "CHANCE": _raster.CHANCES, "FADE": _raster.FADING,
}.items():
    print(name, f"{zlib.crc32(np.asarray(table).astype('<i8').tobytes()):08x}")
"""


@pytest.mark.parametrize("environment", [{}, {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX"}])
def test_tables_are_those_of_the_page_whatever_the_program_has_set(environment):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", TABLES],
        env=os.environ | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = dict(line.split() for line in run.stdout.splitlines())
    told = dict(re.findall(r"\| `([A-Z]+)[^|]*\|.*\| `([0-9a-f]{8})` \|", PAGE.read_text()))
    assert found == told
