"""A learned code: what is written is read, what is asked for is met, and no machine decodes otherwise."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from refold.codec import BitReader, BitWriter, LearnedCode, logistic_bits, logistic_weights
from refold.train import CodeTrainingPlan, learn_code

QUICK = CodeTrainingPlan(8, (32,), (32,), 8, steps=500, batch_size=128)


def digits():
    return load_digits().images[:600].astype(np.uint8)


def rows():
    table = load_breast_cancer().data
    return ((table - table.mean(0)) / table.std(0)).astype(np.float32)


@pytest.fixture(scope="module")
def learned():
    return learn_code(digits(), 0, quality=0.7, plan=QUICK)


def there_and_back(code, records):
    codes = code.encode(records)
    writer = BitWriter()
    code.code(writer, len(codes), codes)
    reader = LearnedCode.from_bytes(code.without_encoder().to_bytes())
    read = reader.code(BitReader(writer.to_bytes()), len(codes))
    np.testing.assert_array_equal(read, codes)
    return reader.decode(read), writer.to_bytes()


def test_pictures_come_back_in_their_type_and_nearly_at_the_quality_asked_for(learned):
    back, _ = there_and_back(learned, digits())
    assert back.dtype == np.uint8 and back.shape == digits().shape and back.max() <= 16
    true = digits().astype(float)
    assert np.square(back - true).mean() < 0.45 * np.square(true - true.mean(0)).mean()


def test_a_file_is_as_long_as_the_probabilities_say(learned):
    codes = learned.encode(digits())
    _, data = there_and_back(learned, digits())
    assert len(data) == pytest.approx(learned.bits(codes).sum() / 8, rel=0.01, abs=8)


def test_rows_come_back_as_floats_at_most_at_the_bytes_asked_for():
    code = learn_code(rows(), 0, bytes_per_sample=3.0, plan=QUICK)
    tuned = code.tuned(rows(), bytes_per_sample=3.0)
    back, data = there_and_back(tuned, rows())
    assert back.dtype == np.float32 and back.shape == rows().shape
    assert len(data) <= 3.03 * len(rows()) + 8
    assert np.square(back - rows()).mean() < 0.8


def test_a_code_kept_whole_encodes_alike_and_without_its_encoder_refuses(learned):
    again = LearnedCode.from_bytes(learned.to_bytes())
    np.testing.assert_array_equal(again.encode(digits()[:50]), learned.encode(digits()[:50]))
    with pytest.raises(ValueError, match="no encoder"):
        learned.without_encoder().encode(digits())


def test_the_search_finds_codes_that_cost_less_than_the_encoders(learned):
    true = digits().astype(float)
    flat = true.reshape(len(true), -1)
    found = learned.encode(digits())
    rounded = np.clip(np.rint(learned.encoder(flat)), learned.least, learned.most).astype(np.int64)

    def cost(codes):
        wrong = np.square(learned.decode(codes) - true).sum((1, 2))
        return wrong + learned.trade * learned.bits(codes)

    assert (cost(found) <= cost(rounded) + 1e-6).all() and cost(found).mean() < 0.95 * cost(rounded).mean()


def test_what_makes_no_sense_is_refused():
    for asked in ({}, {"quality": 0.5, "bytes_per_sample": 2.0}, {"quality": 1.5}, {"bytes_per_sample": 0.0}):
        with pytest.raises(ValueError, match=r"quality|bytes_per_sample"):
            learn_code(digits(), 0, **asked)


@pytest.mark.parametrize("records", [np.zeros((40, 3)), np.arange(40.0)[:, None], np.eye(9, dtype=np.int16)])
def test_dull_and_few_records_are_no_error(records):
    plan = CodeTrainingPlan(min(4, records.shape[1]), (8,), (), 4, steps=60, batch_size=8)
    back, _ = there_and_back(learn_code(records, 0, quality=0.9, plan=plan), records)
    assert back.shape == records.shape and back.dtype == records.dtype and np.isfinite(back).all()


def test_no_records_are_no_bytes_and_no_error(learned):
    back, data = there_and_back(learned, digits()[:0])
    assert back.shape == (0, 8, 8) and len(data) <= 4


def test_weights_of_logistic_mixtures_are_what_mathematics_says():
    answers = np.array([[0, 40, 8, 16, 0, -20]])
    numbers = np.arange(-20, 21)
    weights = logistic_weights(answers, -20, 20)[0]
    share = np.exp(-20 / 16)

    def below(edge):
        first, second = (1 / (1 + np.exp(-(edge - mean) / width)) for mean, width in ((0, np.e), (2.5, np.e**2)))
        return (first + share * second) / (1 + share)

    exact = below(numbers + 0.5) - below(numbers - 0.5)
    exact[0], exact[-1] = below(-19.5), 1 - below(19.5)
    np.testing.assert_allclose(weights / weights.sum(), exact, atol=1e-3)
    bits = logistic_bits(np.repeat(answers, len(numbers), 0), numbers, -20, 20)
    np.testing.assert_allclose(bits, -np.log2(weights / weights.sum()), atol=1e-3)
