"""The count of operations is torch's own."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from refold.nets._operations import OperationCounter

NETS = {
    "dense": (nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 4)), (5, 20)),
    "strided": (nn.Conv2d(3, 8, 3, stride=2, padding=1), (5, 3, 9, 12)),
    "grouped": (nn.Conv2d(4, 8, 3, groups=2), (5, 4, 9, 12)),
    "transposed": (nn.ConvTranspose2d(8, 3, 3, stride=2, padding=1, output_padding=1), (5, 8, 4, 6)),
    "sequence": (nn.Conv1d(3, 8, 5), (5, 3, 40)),
}


@pytest.mark.parametrize("name", NETS)
def test_operations_are_those_that_torch_counts(name):
    net, shape = NETS[name]
    with OperationCounter() as ours, torch.no_grad():
        net(torch.zeros(shape))
    with FlopCounterMode(display=False) as theirs, torch.no_grad():
        net(torch.zeros(shape))
    assert ours.total == theirs.get_total_flops() > 0


def test_products_count():
    with OperationCounter() as counter:
        torch.zeros(2, 3, 4) @ torch.zeros(4, 5)
        torch.matmul(torch.zeros(3, 4), torch.zeros(4, 5))
    assert counter.total == 2 * (2 * 3 * 4 * 5) + 2 * 3 * 4 * 5
