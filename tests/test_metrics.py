import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib.metrics import (
    confidence_interval,
    confusion_matrix,
    duplicate_groups,
    near_duplicates,
    pareto_front,
    top_k_error,
)


def test_top_k_error_by_hand():
    scores = [[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]
    labels = [1, 1, 0]
    assert [top_k_error(scores, labels, k) for k in (1, 2, 3)] == pytest.approx([2 / 3, 1 / 3, 0])


def test_ties_count_against_the_model():
    assert [top_k_error(np.zeros((4, 5)), [0, 1, 2, 4], k) for k in range(1, 6)] == [1, 1, 1, 1, 0]
    assert top_k_error([[1.0, 1.0, 0.0]], [0], 1) == 1
    assert top_k_error([[1.0, 1.0, 0.0]], [0], 2) == 0


@given(st.integers(0, 10**6))
def test_error_falls_with_k_and_equals_sorting_without_ties(seed):
    rng = np.random.default_rng(seed)
    scores, labels = rng.normal(size=(20, 7)), rng.integers(0, 7, 20)
    errors = [top_k_error(scores, labels, k) for k in range(1, 8)]
    assert errors == sorted(errors, reverse=True)
    guesses = np.argsort(-scores, axis=1)
    for k, error in enumerate(errors, 1):
        assert error == pytest.approx(np.mean([y not in g[:k] for y, g in zip(labels, guesses)]))


@pytest.mark.parametrize(
    "scores,labels,k,message",
    [
        ([[0.1, 0.9]], [0], 3, "k is 3; allowed: an integer from 1 to 2"),
        ([[0.1, 0.9]], [0], 0, "k is 0"),
        ([[0.1, 0.9]], [2], 1, "labels run from 2 to 2; allowed: 0 to 1"),
        ([[0.1, 0.9]], [0, 1], 1, r"labels has shape \(2,\); allowed: \(1,\)"),
        ([[0.1, 0.9]], [0.0], 1, "labels has type float64; allowed: integers"),
        ([0.1, 0.9], [0, 1], 1, r"scores has shape \(2,\)"),
        ([[np.nan, 0.9]], [0], 1, "NaN for 1 of 1 images"),
        (np.zeros((0, 3)), np.zeros(0, int), 1, "at least one image"),
    ],
)
def test_wrong_input_says_what_is_allowed(scores, labels, k, message):
    with pytest.raises(ValueError, match=message):
        top_k_error(scores, labels, k)


def test_confusion_matrix():
    counts = confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2], 3)
    assert counts.tolist() == [[1, 1, 0], [0, 1, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="0 to 2"):
        confusion_matrix([0, 3], [0, 0], 3)


def test_confidence_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for wrong in rng.binomial(200, 0.1, 2000):
        low, high = confidence_interval(wrong / 200, 200)
        held += low <= 0.1 <= high
    assert 0.93 < held / 2000 < 0.97


def test_confidence_interval_of_the_human_figure():
    low, high = confidence_interval(0.051, 1500)
    assert (low, high) == (pytest.approx(0.0410, abs=5e-4), pytest.approx(0.0633, abs=5e-4))
    with pytest.raises(ValueError, match="a share, not percent"):
        confidence_interval(5.1, 1500)
    with pytest.raises(ValueError, match="at least 1 image"):
        confidence_interval(0.5, 0)


def test_pareto_front_by_hand():
    assert pareto_front([3, 1, 2, 4], [0.9, 0.7, 0.6, 0.9]) == [1, 0]
    assert pareto_front([1, 1, 2], [0.5, 0.6, 0.6]) == [1]
    assert pareto_front([2, 2], [0.6, 0.6]) == [0, 1]
    assert pareto_front([], []) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12))
def test_pareto_front_is_those_that_none_beats(points):
    costs, values = [cost for cost, _ in points], [value for _, value in points]
    unbeaten = [
        i
        for i, (cost, value) in enumerate(points)
        if not any((c, -v) != (cost, -value) and c <= cost and v >= value for c, v in points)
    ]
    found = pareto_front(costs, values)
    assert sorted(found) == unbeaten
    assert [costs[i] for i in found] == sorted(costs[i] for i in found)


def test_pareto_front_refuses_lengths_that_differ_and_nan():
    with pytest.raises(ValueError, match=r"costs has shape \(2,\) and values \(3,\)"):
        pareto_front([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="NaN"):
        pareto_front([1, 2], [1, np.nan])


def test_near_duplicates_are_found_whatever_their_brightness():
    rng = np.random.default_rng(0)
    known = rng.random((1500, 6, 6, 1))
    new = rng.random((1200, 6, 6, 1))
    new[7] = 0.5 * known[1400] + 0.2
    new[1100] = known[3] + rng.normal(0, 0.01, (6, 6, 1))
    new[8] = known[3] + rng.normal(0, 0.3, (6, 6, 1))
    new[9] = 0.0  # no contrast, so like nothing
    assert np.flatnonzero(near_duplicates(new, known)).tolist() == [7, 1100]
    with pytest.raises(ValueError, match=r"\(6, 6, 1\), the known ones \(5, 6, 1\)"):
        near_duplicates(new, known[:, 1:])


def test_what_is_nearly_the_same_has_one_number():
    """Across the parts in which they are compared, by chains, and where nothing varies."""
    pictures = np.random.default_rng(0).integers(0, 256, (1005, 8, 8, 1)).astype("uint8")
    pictures[1003] = pictures[2] // 2 + 60
    pictures[1000], pictures[7], pictures[8] = 9, 9, 10
    groups = duplicate_groups(pictures)
    assert groups[1003] == groups[2] and groups[1000] == groups[7] != groups[8]
    assert len(np.unique(groups)) == 1003
