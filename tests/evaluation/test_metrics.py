from math import inf, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sgmn.errors import SgmnError
from sgmn.evaluation import metrics

RANKS = [1, 3, None, 12, 2]
ranks = st.lists(st.none() | st.integers(1, 50), min_size=1, max_size=30)


def test_metrics_of_a_small_example():
    assert metrics.recall_at(RANKS, 1) == 1 / 5
    assert metrics.recall_at(RANKS, 3) == 3 / 5
    assert metrics.recall_at(RANKS, 12) == 4 / 5
    assert metrics.mrr(RANKS) == pytest.approx((1 + 1 / 3 + 0 + 1 / 12 + 1 / 2) / 5)
    assert metrics.median_rank(RANKS) == 3
    assert metrics.median_rank([1, 2, None, None]) == inf
    assert metrics.median_rank([None, None]) == inf


@given(ranks, st.integers(1, 60))
@settings(max_examples=60, deadline=None)
def test_every_query_counts(values, k):
    hits = sum(1 for r in values if r is not None and r <= k)
    assert metrics.recall_at(values, k) == pytest.approx(hits / len(values))
    assert metrics.mrr(values) == pytest.approx(sum(1 / r for r in values if r) / len(values))


@given(ranks)
@settings(max_examples=40, deadline=None)
def test_another_miss_never_helps(values):
    more = [*values, None]
    assert metrics.recall_at(more, 10) <= metrics.recall_at(values, 10)
    assert metrics.mrr(more) <= metrics.mrr(values)
    assert metrics.median_rank(more) >= metrics.median_rank(values)


@given(
    st.permutations("abcdefgh"),
    st.sets(st.sampled_from("abcdefghxyz"), min_size=1),
    st.integers(1, 12),
)
@settings(max_examples=60, deadline=None)
def test_ndcg_follows_its_formula(ranking, truths, k):
    gain = sum(1 / log2(rank + 1) for rank, p in enumerate(ranking[:k], 1) if p in truths)
    ideal = sum(1 / log2(rank + 1) for rank in range(1, min(k, len(truths)) + 1))
    assert metrics.ndcg_at([ranking], [truths], k) == pytest.approx(gain / ideal)


def test_ndcg_does_not_reward_a_repeated_answer():
    assert metrics.ndcg_at([["a", "a", "a"]], [{"a", "b"}], 10) == pytest.approx(
        1 / (1 + 1 / log2(3))
    )


def test_ndcg_of_an_empty_ranking_is_zero_and_counts():
    assert metrics.ndcg_at([[], ["a"]], [{"a"}, {"a"}], 10) == 0.5


@pytest.mark.parametrize(
    "call",
    [
        lambda: metrics.recall_at([], 1),
        lambda: metrics.mrr([]),
        lambda: metrics.median_rank([]),
        lambda: metrics.recall_at([0], 1),
        lambda: metrics.recall_at([1], 0),
        lambda: metrics.ndcg_at([], [], 10),
        lambda: metrics.ndcg_at([["a"]], [{"a"}, {"b"}], 10),
        lambda: metrics.ndcg_at([["a"]], [set()], 10),
    ],
)
def test_invalid_input_is_an_error(call):
    with pytest.raises(SgmnError):
        call()


def test_there_is_one_value_per_query_in_order():
    np.testing.assert_array_equal(metrics.hits_at(RANKS, 2), [1, 0, 0, 0, 1])
    np.testing.assert_array_equal(metrics.ranks_to_array(RANKS), [1, 3, inf, 12, 2])
