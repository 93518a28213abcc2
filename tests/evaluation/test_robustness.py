from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.errors import SgmnError
from sgmn.evaluation.robustness import (
    coarsened,
    compressed,
    darkened,
    first_on_smaller,
    half,
    swapped_words,
)
from sgmn.records import Clip, Utterance


def clip(number, *products, shop="", words=None):
    said = f"words {number}" if words is None else words
    spoken = (Utterance(0, 1, said),) if said else ()
    return Clip(f"c{number}", Path("x.mp4"), (), spoken, products, shop)


def some_clips():
    names = ["a", "a", "a", "b", "b", "c", "d", "e"]
    return [clip(i, name) for i, name in enumerate(names)] + [
        clip(8, "b", "e"),
        clip(9, "a", words=""),
    ]


def drawn(clips, seed=0):
    return swapped_words(clips, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(20))
def test_each_gets_the_words_of_another_product(seed):
    clips = some_clips()
    words = drawn(clips, seed)
    owner = {c.words: c for c in clips}
    for own, given_words in zip(clips, words, strict=True):
        if own.words:
            assert not set(own.product_ids) & set(owner[given_words].product_ids)
    assert Counter(words) == Counter(c.words for c in clips)  # nothing lost, nothing twice
    assert words[-1] == ""  # who says nothing stays silent


def test_the_seed_decides_and_every_exchange_can_happen():
    clips = [clip(i, f"p{i}") for i in range(3)]
    found = {tuple(drawn(clips, seed)) for seed in range(30)}
    assert drawn(some_clips(), 3) == drawn(some_clips(), 3)
    assert found == {("words 1", "words 2", "words 0"), ("words 2", "words 0", "words 1")}


@pytest.mark.parametrize("seed", range(5))
def test_words_stay_in_the_shop_where_they_can(seed):
    clips = [clip(i, f"p{i % 3}", shop="xy"[i // 3]) for i in range(6)] + [clip(6, "p0", shop="z")]
    words = drawn(clips, seed)
    shop_of = {c.words: c.shop_id for c in clips}
    crossing = [c.clip_id for c, w in zip(clips, words, strict=True) if shop_of[w] != c.shop_id]
    assert len(crossing) == 2 and "c6" in crossing  # the lone clip and one that it exchanges with


def test_a_lone_product_has_nobody_to_exchange_with():
    for names in ("a", "aab", "aaa"):
        with pytest.raises(SgmnError, match="one product"):
            drawn([clip(i, name) for i, name in enumerate(names)])
    assert drawn([clip(0, "a", words="")]) == [""]


@pytest.mark.parametrize("count, kept", [(0, 0), (1, 1), (2, 1), (9, 5), (10, 5)])
def test_half_of_the_frames_in_their_order(count, kept):
    found = half(count, np.random.default_rng(2))
    assert len(found) == len(set(found)) == kept and found == sorted(found)
    assert all(0 <= place < count for place in found)


def test_every_frame_is_lost_as_often():
    rng = np.random.default_rng(2)
    counts = Counter(place for _ in range(2000) for place in half(10, rng))
    assert all(900 < counts[place] < 1100 for place in range(10))


def test_low_light_is_darker_and_noisy_and_never_wraps():
    rng = np.random.default_rng(0)
    for level in (0, 100, 255):
        dark = darkened(np.full((60, 60, 3), level, np.uint8), rng).astype(float)
        assert dark.mean() == pytest.approx(max(0.35 * level, 1.6), abs=0.3)
        assert dark.max() < 0.35 * level + 25
    assert dark.std() == pytest.approx(4, abs=0.3)


def test_a_small_picture_keeps_its_size_and_loses_its_detail():
    stripes = np.zeros((256, 144, 3), np.uint8)
    stripes[:, ::2] = 200
    coarse = coarsened(stripes)
    assert coarse.shape == stripes.shape and coarse.dtype == np.uint8
    assert coarse.std() < 10 < stripes.std()
    assert coarse.mean() == pytest.approx(100, abs=3)
    halves = np.repeat([[0], [200]], 128, axis=0).repeat(144, axis=1)
    halves = halves[..., None].repeat(3, axis=2).astype(np.uint8)
    assert np.abs(coarsened(halves).astype(float) - halves).mean() < 4
    assert (coarsened(stripes[:60, :40]) == stripes[:60, :40]).all()  # small already


def test_compression_spoils_detail_more_than_areas():
    grey = np.random.default_rng(0).integers(100, 140, (64, 48, 1), dtype=np.uint8)
    smooth, detailed = np.full((64, 48, 3), 120, np.uint8), grey.repeat(3, axis=2)
    spoilt = [compressed(picture).astype(float) for picture in (smooth, detailed)]
    assert spoilt[1].shape == detailed.shape and np.abs(spoilt[0] - smooth).mean() < 3
    assert spoilt[1].std() < 0.5 * detailed.std()  # at quality 50 it would be 0.75


@given(st.integers(1, 40), st.data())
def test_on_a_smaller_shelf_by_counting(shelf, data):
    smaller = data.draw(st.integers(1, shelf))
    chances = [first_on_smaller(rank, shelf, smaller) for rank in range(1, shelf + 1)]
    assert chances[0] == 1 and chances == sorted(chances, reverse=True)
    # Whoever is best of the n drawn was at some rank: a random truth is first once in n times.
    assert sum(chances) == pytest.approx(float(Fraction(shelf, smaller)))
    assert first_on_smaller(None, shelf, smaller) == 0


def test_the_whole_shelf_and_a_lone_product():
    assert [first_on_smaller(rank, 6, 6) for rank in range(1, 7)] == [1, 0, 0, 0, 0, 0]
    assert [first_on_smaller(rank, 6, 1) for rank in range(1, 7)] == [1] * 6


@pytest.mark.parametrize("rank, smaller", [(2, 10), (4, 10), (11, 3), (30, 2)])
def test_on_a_smaller_shelf_by_simulation(rank, smaller):
    rng = np.random.default_rng(6)
    others = [place for place in range(1, 41) if place != rank]
    first = [min(rng.choice(others, smaller - 1, replace=False)) > rank for _ in range(20_000)]
    assert first_on_smaller(rank, 40, smaller) == pytest.approx(np.mean(first), abs=0.012)


def test_large_shelves_do_not_overflow():
    assert first_on_smaller(2, 66_358, 600) == pytest.approx(1 - 599 / 66_357)


@pytest.mark.parametrize("rank, shelf, smaller", [(1, 5, 6), (1, 5, 0), (6, 5, 2), (0, 5, 2)])
def test_no_such_shelf(rank, shelf, smaller):
    with pytest.raises(SgmnError, match="smaller shelf"):
        first_on_smaller(rank, shelf, smaller)
