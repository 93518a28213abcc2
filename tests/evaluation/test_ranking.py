from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import SgmnError
from sgmn.evaluation.ranking import RankedClip, rank_clip
from sgmn.records import Clip


def clip(*truths):
    return Clip("c1", video=Path("c1.mp4"), product_ids=truths)


SHELF = ["a", "b", "c", "d"]


def test_the_rank_is_that_of_the_true_product():
    result = rank_clip(clip("c"), SHELF, np.array([0.1, 0.9, 0.5, 0.7]))
    assert result.rank == 3
    assert result.best == ("b", "d", "c", "a")
    assert result.scores == (0.9, 0.7, 0.5, 0.1)
    assert result.shelf_size == 4


def test_the_best_of_several_true_products_counts_and_absent_ones_are_listed():
    result = rank_clip(clip("a", "d", "gone"), SHELF, np.array([0.1, 0.9, 0.5, 0.7]))
    assert result.rank == 2
    assert result.truths == ("a", "d", "gone")


@pytest.mark.parametrize("shelf, scores", [(SHELF, np.ones(4)), ([], np.ones(0))])
def test_a_true_product_that_is_not_on_the_shelf_is_a_miss(shelf, scores):
    assert rank_clip(clip("z"), shelf, scores).rank is None


@pytest.mark.parametrize("truth", SHELF)
def test_a_constant_scorer_is_never_correct(truth):
    assert rank_clip(clip(truth), SHELF, np.zeros(4)).rank == 4


def test_a_product_that_was_not_returned_is_a_miss():
    result = rank_clip(clip("b"), SHELF, np.array([0.1, -np.inf, 0.5, -np.inf]))
    assert result.rank is None
    assert result.best == ("c", "a")


@given(
    scores=st.lists(st.integers(-3, 3), min_size=1, max_size=25),
    truths=st.sets(st.integers(0, 24), min_size=1, max_size=4),
)
@settings(max_examples=80, deadline=None)
def test_rank_counts_the_wrong_products_that_are_at_least_as_good(scores, truths):
    shelf = [f"p{i}" for i in range(len(scores))]
    result = rank_clip(clip(*(f"p{t}" for t in truths)), shelf, np.array(scores, dtype=float))
    present = [scores[t] for t in truths if t < len(scores)]
    if not present:
        assert result.rank is None
        return
    better = sum(s >= max(present) for i, s in enumerate(scores) if i not in truths)
    assert result.rank is not None and result.rank == 1 + better
    assert list(result.scores) == sorted(scores, reverse=True)[:10]
    if result.rank <= 10:
        assert result.best[result.rank - 1] in result.truths


@given(st.permutations(range(8)), st.lists(st.integers(0, 3), min_size=8, max_size=8))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_shelf_does_not_matter(order, scores):
    shelf = np.array([f"p{i}" for i in range(8)])
    values = np.array(scores, dtype=float)
    one = rank_clip(clip("p2", "p5"), list(shelf), values)
    other = rank_clip(clip("p2", "p5"), list(shelf[order]), values[order])
    assert one.rank == other.rank


@pytest.mark.parametrize(
    "shelf, scores, truths, message",
    [
        (SHELF, [1, np.nan, 3, 4], ["a"], "NaN or infinite, the first that of product 'b'"),
        (SHELF, [1, 2, np.inf, 4], ["a"], "NaN or infinite, the first that of product 'c'"),
        (SHELF, [1, 2, 3], ["a"], r"shape \(3,\) for 4 products"),
        (["a", "a"], [1, 2], ["a"], "twice"),
        (SHELF, [1, 2, 3, 4], [], "no true product"),
    ],
)
def test_an_error_names_the_clip(shelf, scores, truths, message):
    with pytest.raises(SgmnError, match=rf"clip 'c1'.*{message}"):
        rank_clip(clip(*truths), shelf, np.array(scores, dtype=float))


@pytest.mark.parametrize("invalid_rank", [0, 5])
def test_a_result_rejects_a_rank_beyond_its_shelf(invalid_rank):
    with pytest.raises(SgmnError, match=rf"rank {invalid_rank} is not in 1..4"):
        RankedClip("c1", "", invalid_rank, (), (), ("a",), 4)


def test_a_result_rejects_products_without_scores():
    with pytest.raises(SgmnError, match="2 best products and 1 scores"):
        RankedClip("c1", "", 1, ("a", "b"), (0.5,), ("a",), 4)
