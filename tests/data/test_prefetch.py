"""Work ahead gives the same items in the same order, passes errors on, and leaves no thread behind."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refold.data import prefetched

PATIENCE = 20  # seconds until a test that hangs fails


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@given(items=st.lists(st.integers()), depth=st.integers(1, 5))
def test_the_same_items_in_the_same_order(items, depth):
    assert list(prefetched(iter(items), depth)) == items


def test_none_and_exceptions_are_items_like_others():
    items = [None, ValueError("an item"), StopIteration(), ()]
    assert list(prefetched(iter(items))) == items


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_the_thread_is_ahead_by_at_most_the_depth(depth):
    made, is_ahead = [], threading.Event()

    def items():
        for place in range(10):
            made.append(place)
            if place == depth:
                is_ahead.set()
            yield place

    ahead = prefetched(items(), depth)
    for taken, _ in enumerate(ahead, start=1):
        assert is_ahead.wait(PATIENCE)  # so many are made while the first one is still in use
        assert len(made) <= taken + depth


def test_nothing_is_made_before_the_first_item_is_asked_for():
    made = []
    ahead = prefetched(made.append(place) for place in range(3))
    assert made == []
    ahead.close()
    assert made == []


@pytest.mark.parametrize("error", [ValueError("broken"), KeyboardInterrupt()])
def test_an_error_comes_after_the_items_before_it(error):
    def items():
        yield from (1, 2, 3)
        raise error

    taken = []
    with pytest.raises(type(error)) as caught:
        taken.extend(prefetched(items(), depth=5))
    assert taken == [1, 2, 3] and caught.value is error


def endless(closed):
    try:
        while True:
            yield 0
    finally:
        closed.append(threading.current_thread())


def test_closing_early_ends_the_thread_and_closes_the_iterator():
    closed = []
    ahead = prefetched(endless(closed))
    assert next(ahead) == 0
    ahead.close()
    assert len(closed) == 1
    assert threading.main_thread() not in closed, "the iterator belongs to the thread"
    with pytest.raises(StopIteration):
        next(ahead)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_of_the_consumer_ends_the_thread(error):
    closed = []

    def consume():
        for _ in prefetched(endless(closed)):
            raise error

    with pytest.raises(error):
        consume()
    assert len(closed) == 1
