"""One declaration of a parameter: check, text, documentation."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refold import Autoencoder, ParameterError
from refold._parameters import (
    anything,
    check_parameters,
    choice,
    declare,
    documented,
    flag,
    height_and_width,
    low_and_high,
    nothing,
    parameters_of,
    real,
    text,
    whole,
    whole_numbers,
)
from refold.estimators import AutoencoderParameters

PARAMETERS = {parameter.name: parameter for parameter in parameters_of(AutoencoderParameters)}
finite = st.floats(allow_nan=False, allow_infinity=False)

ANYTHING = st.one_of(
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.none(),
    st.just(object),
    st.tuples(st.integers(), st.integers()),
    st.lists(finite, max_size=3),
)

# rule, values that it allows, and how a user writes them on the command line
WRITTEN = {
    "whole": (whole(1, 100), st.integers(1, 100), str),
    "real": (real(-5, 5), st.floats(-5, 5), repr),
    "flag": (flag(), st.booleans(), str),
    "choice": (choice("red", "green"), st.sampled_from(["red", "green"]), str),
    "nothing": (nothing(), st.none(), str),
    "maybe": (nothing() | real(0), st.none() | st.floats(0, 1e300), str),
    "auto": (choice("auto") | whole(1), st.just("auto") | st.integers(1), str),
    "sizes": (
        choice("auto") | whole_numbers(1),
        st.just("auto") | st.lists(st.integers(1, 999), max_size=4).map(tuple),
        lambda value: value if isinstance(value, str) else ",".join(map(str, value)),
    ),
    "range": (
        nothing() | low_and_high(),
        st.tuples(finite, finite).filter(lambda pair: pair[0] < pair[1]),
        lambda pair: f"{pair[0]!r},{pair[1]!r}",
    ),
    "size": (
        nothing() | height_and_width(),
        st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
        lambda size: f"{size[0]}x{size[1]}",
    ),
    "text": (text("a text"), st.text(), str),
}  # fmt: skip


@pytest.mark.parametrize("rule", WRITTEN)
@given(data=st.data())
def test_what_is_written_is_what_was_meant(rule, data):
    rule, values, write = WRITTEN[rule]
    value = data.draw(values)
    assert rule.accepts(value)
    parsed = rule.parse(write(value))
    assert parsed == value and type(parsed) is type(value)


@pytest.mark.parametrize("name", PARAMETERS)
@given(written=st.text(max_size=12) | st.sampled_from(["nan", "-inf", "1e999", "-1", "0", "9" * 400, "1_0", "x"]))
def test_any_text_is_parsed_or_refused(name, written):
    parameter = PARAMETERS[name]
    try:
        value = parameter.rule.parse(written)
    except ValueError:
        return
    try:
        parameter.check(value, "Autoencoder")
    except ParameterError as error:
        assert str(error).startswith(f"{name} of Autoencoder must be ")


@pytest.mark.parametrize("name", PARAMETERS)
@given(value=ANYTHING)
def test_any_value_is_allowed_or_refused_in_one_sentence(name, value):
    try:
        PARAMETERS[name].check(value, "Autoencoder")
    except ParameterError as error:
        assert str(error).startswith(f"{name} of Autoencoder must be ") and "got" in str(error)


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_default_is_allowed(name):
    PARAMETERS[name].check(PARAMETERS[name].default, "Autoencoder")


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_documented_and_can_be_set(name):
    assert f"    {name} : " in Autoencoder.__doc__
    assert PARAMETERS[name].doc.endswith(".")
    assert Autoencoder().get_params()[name] == PARAMETERS[name].default
    assert Autoencoder(**{name: PARAMETERS[name].default}).get_params() == Autoencoder().get_params()


def test_every_parameter_is_keyword_only():
    with pytest.raises(TypeError):
        Autoencoder(3)


@pytest.mark.parametrize("value", [True, False])
def test_truth_values_are_no_numbers(value):
    assert not whole(0).accepts(value) and not real(0).accepts(value)
    assert not whole_numbers(0).accepts((value,)) and not low_and_high().accepts((value, 5))


def test_numbers_of_numpy_are_numbers():
    import numpy as np

    assert whole(0).accepts(np.int64(3)) and real(0).accepts(np.float32(0.5)) and flag().accepts(np.True_)
    assert not flag().accepts(1)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_numbers_that_float64_cannot_hold_are_refused(value):
    assert not real(-1e300).accepts(value)
    assert not low_and_high().accepts((0, value))


def test_ends_can_be_left_out():
    rule = real(0, 1, above=True, below=True)
    assert [rule.accepts(value) for value in (0, 0.5, 1)] == [False, True, False]
    assert rule.text == "a number above 0 and below 1"


def test_a_near_miss_is_named():
    @dataclass(kw_only=True)
    class Painter:
        colour: str = declare("red", choice("red", "green"), "What to paint with.")
        strokes: int = declare(3, whole(1), "How often.")

    check_parameters(Painter())
    with pytest.raises(
        ParameterError, match=r"colour of Painter must be 'red' or 'green', got 'gren', did you mean 'green'\?"
    ):
        check_parameters(Painter(colour="gren"))
    with pytest.raises(ParameterError, match=r"strokes of Painter must be a whole number of at least 1, got 0"):
        check_parameters(Painter(strokes=0))


def test_documentation_is_written_from_the_declaration():
    @documented
    @dataclass(kw_only=True)
    class Painter:
        """Paint.

        Parameters
        ----------
        {parameters}
        """

        strokes: int = declare(3, whole(1), "How often.")

    assert "strokes : a whole number of at least 1, default=3" in Painter.__doc__
    assert "{parameters}" not in Painter.__doc__


def test_objects_cannot_be_written():
    with pytest.raises(ValueError, match="x"):
        anything("an object", callable).parse("x")
