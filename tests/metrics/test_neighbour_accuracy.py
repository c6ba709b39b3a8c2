"""Labels are told as by scikit-learn's classifier."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from refold import DataError, ParameterError
from refold.metrics import neighbour_accuracy


@pytest.mark.parametrize("n_neighbors", [1, 2, 4, 10])
def test_new_records_are_told_as_by_scikit_learn(code, digits, n_neighbors):
    train, test = (code[:400], digits[1][:400]), (code[400:], digits[1][400:])
    judge = KNeighborsClassifier(n_neighbors).fit(*train)
    assert neighbour_accuracy(*train, *test, n_neighbors=n_neighbors) == judge.score(*test)


def test_records_are_told_by_all_others(code, digits):
    guesses = cross_val_predict(KNeighborsClassifier(4), code[:200], digits[1][:200], cv=LeaveOneOut())
    assert neighbour_accuracy(code[:200], digits[1][:200], n_neighbors=4) == np.mean(guesses == digits[1][:200])


def test_of_as_many_votes_the_smallest_label_wins():
    code, labels = np.array([[0.0], [1.0], [10.0], [11.5]]), np.array(["b", "a", "a", "b"])
    # of two neighbours one says a and one b
    assert neighbour_accuracy(code, labels, [[0.4]], ["a"], n_neighbors=2) == 1
    assert neighbour_accuracy(code, labels, [[10.4]], ["b"], n_neighbors=2) == 0


def test_many_numbers_of_neighbours_at_once_are_each_alone(code, digits):
    accuracies = neighbour_accuracy(code, digits[1], n_neighbors=(10, 1))
    assert list(accuracies) == [10, 1]
    assert accuracies == {count: neighbour_accuracy(code, digits[1], n_neighbors=count) for count in (10, 1)}


def test_many_classes_are_voted_for_in_parts(code, digits, monkeypatch):
    whole = neighbour_accuracy(code, digits[1])
    monkeypatch.setattr("refold.metrics._neighbour_accuracy._VOTES_AT_ONCE", 70)
    assert neighbour_accuracy(code, digits[1]) == whole


def test_labels_may_be_texts_or_series(code, digits):
    numbers = neighbour_accuracy(code, digits[1])
    texts = np.array(list("abcdefghij"))[digits[1]]
    for labels in (texts, texts.tolist(), texts.astype(object), pd.Series(texts), pd.Series(digits[1])):
        assert neighbour_accuracy(code, labels) == numbers


def test_a_random_code_is_near_chance_and_labels_as_code_are_not(digits, rng):
    assert neighbour_accuracy(rng.normal(size=(600, 2)), digits[1], n_neighbors=5) == pytest.approx(0.1, abs=0.04)
    assert neighbour_accuracy(digits[1][:, None], digits[1], n_neighbors=5) == 1


def test_a_label_that_was_never_seen_is_not_told(code, digits):
    assert neighbour_accuracy(code, digits[1], code, np.full(600, 77), n_neighbors=1) == 0


@pytest.mark.parametrize(
    ("arguments", "error", "sentence"),
    [
        ({"labels": [0] * 39}, DataError, "code has 40 records and labels has 39"),
        ({"labels": [[0]] * 40}, DataError, r"labels is of shape \(40, 1\); give one label for each record"),
        ({"labels": [0.0] * 39 + [np.nan]}, DataError, "labels has missing values"),
        ({"labels": ["a"] * 39 + [None]}, DataError, "labels holds values of the types NoneType, str"),
        ({"new_labels": [0]}, ParameterError, "new_labels is given and new_code is not"),
        ({"new_code": [[0.0] * 6]}, ParameterError, "new_code is given and new_labels is not"),
        ({"new_code": [[0.0] * 5], "new_labels": [0]}, DataError, "new_code has 5 numbers and one of code 6"),
        ({"new_code": [[0.0] * 6], "new_labels": [0, 1]}, DataError, "new_code has 1 records and new_labels has 2"),
        ({"n_neighbors": 40}, ParameterError, "n_neighbors must be a whole number from 1 to 39"),
        ({"n_neighbors": ()}, ParameterError, "n_neighbors is empty"),
    ],
)
def test_what_cannot_be_judged_is_refused(rows, arguments, error, sentence):
    with pytest.raises(error, match=sentence):
        neighbour_accuracy(**{"code": rows, "labels": [0, 1] * 20} | arguments)
