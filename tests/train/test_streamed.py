"""Batches from disk: every record once, well mixed, none that is held out."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from refold.train import Streamed

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Numbers:
    """A piece that holds the numbers from `start` on."""

    start: int
    size: int

    def blocks(self, rows):
        for first in range(self.start, self.start + self.size, rows):
            last = min(first + rows, self.start + self.size)
            yield np.arange(first, last, dtype=np.float32)[:, None]


def pieces(size, of):
    return [Numbers(start, min(of, size - start)) for start in range(0, size, of)]


def streamed(size, of=100, left_out=(), buffer=50, record_bytes=1 << 16):
    return Streamed(pieces(size, of), lambda block: block, record_bytes, np.array(left_out, np.intp), CPU, buffer)


def seed(number):
    return torch.Generator().manual_seed(number)


def dealt(records, batch_size=16, number=0, skip=0):
    return [batch.raw[:, 0].numpy() for batch in records.shuffled(batch_size, seed(number), skip)]


@pytest.mark.parametrize("size", [1, 2, 16, 17, 18, 99, 100, 101, 1000])
@pytest.mark.parametrize("of", [1, 7, 100, 5000])
@pytest.mark.parametrize("buffer", [1, 50, 5000])
def test_every_record_is_dealt_once(size, of, buffer):
    batches = dealt(streamed(size, of, buffer=buffer))
    assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(size))
    assert all(len(batch) == 16 for batch in batches[:-1])
    assert len(batches[-1]) > 1 or size == 1


@pytest.mark.parametrize("left_out", [[0], [999], list(range(0, 1000, 7)), list(range(100, 300))])
def test_what_is_held_out_is_never_dealt(left_out):
    records = streamed(1000, left_out=left_out)
    rest = np.setdiff1d(np.arange(1000), left_out)
    assert len(records) == len(rest)
    assert np.array_equal(np.sort(np.concatenate(dealt(records))), rest)
    assert np.array_equal(np.concatenate([batch.raw[:, 0].numpy() for batch in records.in_order(64)]), rest)


def test_the_order_hangs_on_the_generator_alone():
    first, again, other = (np.concatenate(dealt(streamed(1000), number=number)) for number in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_one_epoch_after_the_other_has_another_order():
    generator = seed(0)
    orders = [np.concatenate([b.raw[:, 0].numpy() for b in streamed(500).shuffled(16, generator)]) for _ in range(2)]
    assert not np.array_equal(*orders)


@pytest.mark.parametrize("skip", [0, 1, 20, 63, 64])
def test_skipped_batches_leave_the_others_as_they_are(skip):
    whole = dealt(streamed(1000))
    rest = dealt(streamed(1000), skip=skip)
    assert len(whole) == 63 and len(rest) == max(0, 63 - skip)
    assert all(np.array_equal(*pair) for pair in zip(whole[skip:], rest, strict=True))


def test_neighbours_in_the_file_do_not_meet_in_a_batch():
    """Sorted data: the mean of a batch tells little of where the batch stands."""
    batches = dealt(streamed(20_000, of=1000, buffer=4000, record_bytes=1 << 13), batch_size=100)
    spread = np.std([batch.mean() for batch in batches])
    in_order, fully_mixed = 20_000 / 12**0.5, 20_000 / 12**0.5 / 10
    assert spread < 2.5 * fully_mixed < 0.3 * in_order


def test_an_error_while_reading_reaches_the_training():
    def encode(block):
        if block[0, 0] >= 500:
            raise ValueError("cannot be read")
        return block

    records = Streamed(pieces(1000, 100), encode, 1 << 16, np.array([], np.intp), CPU, 50)
    with pytest.raises(ValueError, match="cannot be read"):
        dealt(records)
