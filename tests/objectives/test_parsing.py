"""The names of corruptions and penalties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refold import ParameterError
from refold.objectives import (
    Both,
    Contractive,
    Either,
    FeatureSwap,
    Gaussian,
    Grey,
    Holes,
    Masking,
    MissingPixels,
    SaltAndPepper,
    Sparse,
    Text,
    Variational,
    describe,
    parse_corruption,
    parse_penalties,
)

shares = st.floats(1e-9, 1, exclude_max=True)
weights = st.floats(1e-12, 1e12)
corruptions = st.one_of(
    st.builds(Gaussian, st.floats(1e-9, 10, exclude_max=True)),
    st.builds(Masking, shares),
    st.builds(SaltAndPepper, shares),
    st.builds(FeatureSwap, shares),
    st.builds(MissingPixels, shares),
    st.builds(Holes, st.floats(1, 99), st.floats(1, 99)),
    st.builds(Text, st.floats(4, 400), shares),
    st.just(Grey()),
)
chains = st.recursive(corruptions, lambda inner: st.builds(Both, inner, corruptions), max_leaves=4)
penalties = st.lists(
    st.one_of(st.builds(Variational, weights), st.builds(Sparse, weights), st.builds(Contractive, weights)),
    min_size=1,
    max_size=3,
    unique_by=type,
).map(tuple)


@given(chains)
def test_a_described_corruption_parses_to_itself(corruption):
    assert parse_corruption(describe(corruption)) == corruption


@given(st.lists(chains, min_size=2, max_size=4))
def test_described_alternatives_parse_to_themselves(parts):
    parsed = parse_corruption("|".join(map(describe, parts)))
    assert parse_corruption(describe(parsed)) == parsed
    assert isinstance(parsed, Either) and parsed.first == parts[0] and parsed.first_share == 1 / len(parts)
    assert describe(Both(parsed, parts[0])) is None  # there are no brackets


def test_other_names_and_sigma():
    assert parse_corruption("noise(sigma=51)") == Gaussian(0.2) == parse_corruption("gaussian(0.2)")
    assert parse_corruption("gray") == Grey()


@given(penalties)
def test_described_penalties_parse_to_themselves(penalty):
    assert parse_penalties(describe(penalty)) == penalty


@given(st.text(max_size=20) | st.text("gausin(0.2)+ =,", max_size=25))
def test_any_text_is_parsed_or_refused_in_one_sentence(text):
    for parse in (parse_corruption, parse_penalties):
        try:
            parse(text)
        except ParameterError as error:
            assert len(str(error).splitlines()) == 1 or "\n" in repr(text)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("gaussian", Gaussian(0.2)),
        ("gaussian()", Gaussian(0.2)),
        (" gaussian ( 0.3 ) ", Gaussian(0.3)),
        ("gaussian(share=0.3)", Gaussian(0.3)),
        ("salt-and-pepper(1e-2)", SaltAndPepper(0.01)),
        ("masking + feature_swap(.5)", Both(Masking(0.25), FeatureSwap(0.5))),
        ("masking+masking+masking", Both(Both(Masking(), Masking()), Masking())),
    ],
)
def test_spellings(text, meant):
    assert parse_corruption(text) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gausian(0.2)", "did you mean 'gaussian'"),
        ("variational", "allowed are gaussian, masking, salt_and_pepper, feature_swap"),
        ("gaussian(0.2", "cannot be read"),
        ("gaussian 0.2", "cannot be read"),
        ("gaussian(0.2) +", "cannot be read"),
        ("+ gaussian", "cannot be read"),
        ("", "cannot be read"),
        ("gaussian(high)", "'high' is not a number"),
        ("gaussian(strength=0.2)", "gaussian takes share"),
        ("gaussian(0.1, 0.2)", "gaussian takes share"),
        ("gaussian(0)", "above 0"),
        ("gaussian(nan)", "above 0"),
        ("gaussian(inf)", "above 0"),
        ("masking(1)", "below 1"),
        ("masking(-0.5)", "above 0"),
    ],
)
def test_corruptions_that_cannot_be_meant(text, words):
    with pytest.raises(ParameterError) as caught:
        parse_corruption(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["variational(0)", "sparse(-1)", "contractive(nan)", "variational(inf)", ""])
def test_penalties_that_cannot_be_meant(text):
    with pytest.raises(ParameterError):
        parse_penalties(text)


def test_a_penalty_twice_is_refused():
    with pytest.raises(ParameterError, match="sparse occurs more than once"):
        parse_penalties("sparse(0.1) + sparse(0.2)")


def test_numbers_of_numpy_can_be_described():
    assert describe(Gaussian(np.float64(0.25))) == "gaussian(0.25)"
    assert parse_penalties(describe((Sparse(np.float32(0.5)),))) == (Sparse(0.5),)


def test_nothing_and_objects_pass_through():
    assert parse_corruption(None) is None and parse_penalties(None) == () and describe(None) is None

    def own(raw, domain, generator):
        return raw

    assert parse_corruption(own) is own and parse_penalties(own) == (own,)
    assert describe(own) is None and describe(Both(Gaussian(), own)) is None
    for parse in (parse_corruption, parse_penalties):
        with pytest.raises(ParameterError, match="got 3"):
            parse(3)
