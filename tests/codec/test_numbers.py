"""Decisions and whole numbers: what is written is read, at the length that its probability deserves."""

from zlib import crc32

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refold.codec import CERTAIN, MOST, BitReader, BitWriter, Counts, code_numbers


def written(numbers, contexts, kinds, at_once=512):
    writer, counts = BitWriter(), Counts.empty(kinds)
    for start in range(0, len(numbers), at_once):
        part = slice(start, start + at_once)
        code_numbers(writer, contexts[part], counts, numbers[part])
    return writer.to_bytes()


def read(data, contexts, kinds, at_once=512):
    reader, counts = BitReader(data), Counts.empty(kinds)
    parts = [contexts[start : start + at_once] for start in range(0, len(contexts), at_once)]
    return np.concatenate([np.zeros(0, np.int64), *(code_numbers(reader, part, counts) for part in parts)])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(st.integers(-3, 3), st.integers(-MOST, MOST)), max_size=60), st.integers(1, 4))
def test_whole_numbers_of_any_size_come_back(numbers, kinds):
    numbers = np.array(numbers, np.int64)
    contexts = np.arange(len(numbers)) % kinds
    assert (read(written(numbers, contexts, kinds, 7), contexts, kinds, 7) == numbers).all()


@pytest.mark.parametrize("scale", [0.1, 1, 30])
def test_numbers_take_hardly_more_than_their_entropy(scale):
    rng = np.random.default_rng(0)
    numbers = np.rint(rng.laplace(0, scale, 100_000)).astype(np.int64)
    _, counts = np.unique(numbers, return_counts=True)
    entropy = -(counts * np.log2(counts / len(numbers))).sum() / 8
    contexts = np.zeros(len(numbers), np.int64)
    assert len(written(numbers, contexts, 1)) < 1.05 * entropy + 40


def test_a_context_that_tells_something_saves_bytes():
    rng = np.random.default_rng(0)
    contexts = rng.integers(0, 2, 20_000)
    numbers = np.rint(rng.normal(0, np.where(contexts, 20, 0.3))).astype(np.int64)
    assert len(written(numbers, contexts, 2)) < 0.9 * len(written(numbers, 0 * contexts, 1))


def test_decisions_take_as_many_bits_as_their_chances_say():
    rng = np.random.default_rng(0)
    chances = rng.integers(1, CERTAIN, 50_000)
    bits = rng.random(50_000) < chances / CERTAIN
    ideal = -np.log2(np.where(bits, chances, CERTAIN - chances) / CERTAIN).sum() / 8
    writer = BitWriter()
    writer.decide(chances, bits)
    assert len(writer.to_bytes()) < 1.001 * ideal + 8


def test_symbols_and_even_numbers_come_back_between_decisions():
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 65536, (300, 256))
    symbols, even = rng.integers(0, 256, 300), rng.integers(0, 1 << 62, 300)
    coder = BitWriter()
    for _ in range(2):
        coder.choose(weights, symbols)
        coder.draw(300, 62, even)
        coder.decide(np.full(300, 9), even % 2 == 1)
    reader = BitReader(coder.to_bytes())
    for _ in range(2):
        assert (reader.choose(weights) == symbols).all()
        assert (reader.draw(300, 62) == even).all()
        assert (reader.decide(np.full(300, 9)) == (even % 2 == 1)).all()


def test_what_is_certain_costs_nearly_nothing():
    numbers = np.zeros(200_000, np.int64)
    assert len(written(numbers, numbers, 1)) < 80


def test_counts_that_grew_large_are_halved_as_in_every_earlier_version():
    numbers = np.r_[np.zeros(70_000, np.int64), np.arange(5_000) % 3 - 1]
    data = written(numbers, np.zeros(len(numbers), np.int64), 1, 4096)
    assert (len(data), crc32(data)) == (6544, 978871308)


def test_the_bytes_are_those_of_every_earlier_version():
    numbers = np.array([0, 1, -1, 5, -200, 70_000, 0, 0, 3])
    assert written(numbers, np.arange(9) % 2, 2, 3).hex() == "fbdbff63cd745c75e92eb4a6"
