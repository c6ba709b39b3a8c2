"""Networks of whole numbers: near to the network of floats, and the same bits everywhere."""

import os
import subprocess
import sys
from hashlib import sha256
from itertools import pairwise

import numpy as np
import pytest

from refold.codec import IntegerLayer, IntegerNet, integer_net

OTHER_MACHINES = [
    {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Nehalem"},
    {"OPENBLAS_NUM_THREADS": "2", "OPENBLAS_CORETYPE": "Haswell"},
    {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"},
    {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41"},
]


def drawn_net(seed=0, sizes=(20, 64, 32, 5)):
    rng = np.random.default_rng(seed)
    weights = [rng.normal(0, inner**-0.5, (inner, outer)) for inner, outer in pairwise(sizes)]
    biases = [rng.normal(0, 5, outer) for outer in sizes[1:]]
    inputs = rng.integers(-127, 128, (4000, sizes[0]))
    return integer_net(weights, biases, inputs, 1 / 16, most=127), weights, biases, inputs


def answer_of_floats(weights, biases, inputs):
    flowing = inputs.astype(float)
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        flowing = np.maximum(flowing @ weight + bias, 0)
    return flowing @ weights[-1] + biases[-1]


def test_answers_are_near_those_of_floats():
    net, weights, biases, inputs = drawn_net()
    exact = answer_of_floats(weights, biases, inputs)
    assert np.abs(net(inputs) / 16 - exact).mean() < 0.02 * exact.std()


def test_bytes_give_the_same_network():
    net, *_, inputs = drawn_net()
    data = net.to_bytes()
    assert (IntegerNet.from_bytes(data)(inputs) == net(inputs)).all()
    assert len(data) < sum(layer.weight.size + 8 * len(layer.bias) for layer in net.layers) + 40


def test_rows_have_the_same_answer_in_every_batch():
    net, *_, inputs = drawn_net()
    alone = np.concatenate([net(inputs[row : row + 1]) for row in range(50)])
    assert (alone == net(inputs)[:50]).all()
    assert net(inputs[:0]).shape == (0, 5)


@pytest.mark.parametrize("environment", OTHER_MACHINES, ids=["one thread", "two threads", "without AVX", "SSE4.1"])
def test_other_libraries_and_instruction_sets_give_the_same_bits(environment):
    net, *_ = drawn_net()
    script = (
        "import sys, numpy as np; from hashlib import sha256; from refold.codec import IntegerNet;"
        "net = IntegerNet.from_bytes(bytes.fromhex(sys.stdin.read()));"
        "inputs = np.random.default_rng(9).integers(-127, 128, (3000, 20));"
        "print(sha256(net(inputs).tobytes()).hexdigest())"
    )
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        input=net.to_bytes().hex(), env=os.environ | environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    here = net(np.random.default_rng(9).integers(-127, 128, (3000, 20)))
    assert run.stdout.strip() == sha256(here.tobytes()).hexdigest()


def test_sums_that_floats_do_not_hold_exactly_are_refused():
    layer = IntegerLayer(np.full((600, 1), 127, np.int8), np.zeros(1, np.int32), np.ones(1, np.float32))
    with pytest.raises(ValueError, match="exact"):
        IntegerNet((layer,))


def test_large_inputs_make_weights_coarser_and_sums_stay_exact():
    weights, inputs = [np.ones((900, 2))], np.full((3, 900), 255)
    net = integer_net(weights, [np.zeros(2)], inputs, 1.0)
    assert np.abs(net(inputs) / (900 * 255) - 1).max() < 0.02
