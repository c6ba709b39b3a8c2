"""Batches and inference: every record once, and the same numbers in any company."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from refold.train import InMemory, apply_in_blocks

CPU = torch.device("cpu")


@given(size=st.integers(1, 60), batch_size=st.integers(1, 70), seed=st.integers(0, 5))
def test_every_record_comes_once_an_epoch(size, batch_size, seed):
    records = InMemory(np.arange(size)[:, None], CPU)
    batches = list(records.shuffled(batch_size, torch.Generator().manual_seed(seed)))
    assert sorted(torch.cat([batch.raw for batch in batches]).flatten().tolist()) == list(range(size))
    assert torch.cat([batch.raw for batch in records.in_order(batch_size)]).flatten().tolist() == list(range(size))
    if size > 1 and batch_size > 1:
        assert min(len(batch.raw) for batch in batches) > 1


def test_records_keep_their_compact_type_and_memory_that_is_not_ours():
    numbers = np.zeros((5, 3), np.uint8)
    numbers.flags.writeable = False
    assert next(InMemory(numbers, CPU).in_order(5)).raw.dtype == torch.uint8
    reversed_view = np.arange(6.0).reshape(3, 2)[::-1]
    assert next(InMemory(reversed_view, CPU).in_order(5)).raw.tolist() == reversed_view.tolist()


@pytest.mark.parametrize("width", [1, 3, 5, 30, 70, 126, 784])
@pytest.mark.parametrize("outputs", [1, 2, 7, 64])
def test_a_record_gets_the_same_numbers_at_every_place(width, outputs):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(width, outputs), nn.Tanh(), nn.Linear(outputs, 3)).eval()
    records = np.repeat(np.random.default_rng(0).normal(size=(1, width)).astype(np.float32), 300, axis=0)
    results = apply_in_blocks(net, records, CPU)
    assert results.shape == (300, 3)
    assert (results == results[0]).all()
    assert np.array_equal(apply_in_blocks(net, records[:1], CPU), results[:1])


@pytest.mark.parametrize("size", [1, 255, 256, 257, 700])
def test_blocks_join_to_one_result(size):
    records = np.random.default_rng(0).normal(size=(size, 4)).astype(np.float32)
    assert np.array_equal(apply_in_blocks(lambda block: block * 2, records, CPU), records * 2)


def test_large_pictures_are_computed_in_small_blocks():
    blocks = []

    def seen(block):
        blocks.append(len(block))
        return block.flatten(1)[:, :1]

    apply_in_blocks(seen, np.zeros((5, 600, 800), np.uint8), CPU)
    assert max(blocks) * 600 * 800 <= 2**20


@pytest.mark.parametrize("count", [1, 2, 5])
def test_results_do_not_hang_on_the_number_of_threads(count):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(30, 70), torch.nn.SiLU(), torch.nn.Linear(70, 5))
    records = np.random.default_rng(0).normal(size=(3000, 30)).astype(np.float32)
    expected = apply_in_blocks(net, records, CPU)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count)
        assert np.array_equal(apply_in_blocks(net, records, CPU), expected)
        assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(before)
