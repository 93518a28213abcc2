from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.errors import SgmnError
from sgmn.evaluation.robustness import (
    choose_half,
    compress_jpeg,
    darken,
    reduce_resolution,
    swap_transcripts,
    top1_probability,
)
from sgmn.records import Clip, Utterance


def clip(number, *products, shop="", text=None):
    text = f"words {number}" if text is None else text
    transcript = (Utterance(0, 1, text),) if text else ()
    return Clip(f"c{number}", Path("x.mp4"), (), transcript, products, shop)


def sample_clips():
    names = ["a", "a", "a", "b", "b", "c", "d", "e"]
    return [clip(i, name) for i, name in enumerate(names)] + [
        clip(8, "b", "e"),
        clip(9, "a", text=""),
    ]


def swap(clips, seed=0):
    return swap_transcripts(clips, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(20))
def test_each_clip_gets_the_transcript_of_another_product(seed):
    clips = sample_clips()
    texts = swap(clips, seed)
    owner = {c.text: c for c in clips}
    for receiver, text in zip(clips, texts, strict=True):
        if receiver.text:
            assert not set(receiver.product_ids) & set(owner[text].product_ids)
    assert Counter(texts) == Counter(c.text for c in clips)  # each transcript is used once
    assert texts[-1] == ""  # a clip without a transcript keeps none


def test_the_seed_determines_the_exchange_and_every_one_can_happen():
    clips = [clip(i, f"p{i}") for i in range(3)]
    exchanges = {tuple(swap(clips, seed)) for seed in range(30)}
    assert swap(sample_clips(), 3) == swap(sample_clips(), 3)
    assert exchanges == {("words 1", "words 2", "words 0"), ("words 2", "words 0", "words 1")}


@pytest.mark.parametrize("seed", range(5))
def test_transcripts_stay_in_the_shop_if_possible(seed):
    clips = [clip(i, f"p{i % 3}", shop="xy"[i // 3]) for i in range(6)] + [clip(6, "p0", shop="z")]
    texts = swap(clips, seed)
    shop_of = {c.text: c.shop_id for c in clips}
    crossing = [c.clip_id for c, t in zip(clips, texts, strict=True) if shop_of[t] != c.shop_id]
    assert len(crossing) == 2 and "c6" in crossing  # the single clip and its partner


def test_clips_of_one_product_cannot_exchange():
    for names in ("a", "aab", "aaa"):
        with pytest.raises(SgmnError, match="one product"):
            swap([clip(i, name) for i, name in enumerate(names)])
    assert swap([clip(0, "a", text="")]) == [""]


@pytest.mark.parametrize("count, expected", [(0, 0), (1, 1), (2, 1), (9, 5), (10, 5)])
def test_half_of_the_frames_is_chosen_in_order(count, expected):
    chosen = choose_half(count, np.random.default_rng(2))
    assert len(chosen) == len(set(chosen)) == expected and chosen == sorted(chosen)
    assert all(0 <= index < count for index in chosen)


def test_every_frame_is_chosen_equally_often():
    rng = np.random.default_rng(2)
    counts = Counter(index for _ in range(2000) for index in choose_half(10, rng))
    assert all(900 < counts[index] < 1100 for index in range(10))


def test_low_light_is_darker_and_noisy_and_never_overflows():
    rng = np.random.default_rng(0)
    for level in (0, 100, 255):
        dark = darken(np.full((60, 60, 3), level, np.uint8), rng).astype(float)
        assert dark.mean() == pytest.approx(max(0.35 * level, 1.6), abs=0.3)
        assert dark.max() < 0.35 * level + 25
    assert dark.std() == pytest.approx(4, abs=0.3)


def test_low_resolution_keeps_the_size_and_loses_detail():
    stripes = np.zeros((256, 144, 3), np.uint8)
    stripes[:, ::2] = 200
    blurred = reduce_resolution(stripes)
    assert blurred.shape == stripes.shape and blurred.dtype == np.uint8
    assert blurred.std() < 10 < stripes.std()
    assert blurred.mean() == pytest.approx(100, abs=3)
    halves = np.repeat([[0], [200]], 128, axis=0).repeat(144, axis=1)
    halves = halves[..., None].repeat(3, axis=2).astype(np.uint8)
    assert np.abs(reduce_resolution(halves).astype(float) - halves).mean() < 4
    assert (reduce_resolution(stripes[:60, :40]) == stripes[:60, :40]).all()  # small already


def test_compression_affects_detail_more_than_uniform_areas():
    gray = np.random.default_rng(0).integers(100, 140, (64, 48, 1), dtype=np.uint8)
    smooth, detailed = np.full((64, 48, 3), 120, np.uint8), gray.repeat(3, axis=2)
    compressed = [compress_jpeg(image).astype(float) for image in (smooth, detailed)]
    assert compressed[1].shape == detailed.shape and np.abs(compressed[0] - smooth).mean() < 3
    assert compressed[1].std() < 0.5 * detailed.std()  # at quality 50 it would be 0.75


@given(st.integers(1, 40), st.data())
def test_probabilities_on_a_smaller_shelf_add_up(shelf, data):
    smaller_size = data.draw(st.integers(1, shelf))
    probabilities = [top1_probability(rank, shelf, smaller_size) for rank in range(1, shelf + 1)]
    assert probabilities[0] == 1
    assert probabilities == sorted(probabilities, reverse=True)
    # One of the n drawn products is first, so a random product is first with probability 1/n.
    assert sum(probabilities) == pytest.approx(float(Fraction(shelf, smaller_size)))
    assert top1_probability(None, shelf, smaller_size) == 0


def test_the_whole_shelf_and_a_single_product():
    assert [top1_probability(rank, 6, 6) for rank in range(1, 7)] == [1, 0, 0, 0, 0, 0]
    assert [top1_probability(rank, 6, 1) for rank in range(1, 7)] == [1] * 6


@pytest.mark.parametrize("rank, smaller_size", [(2, 10), (4, 10), (11, 3), (30, 2)])
def test_probabilities_on_a_smaller_shelf_match_a_simulation(rank, smaller_size):
    rng = np.random.default_rng(6)
    others = [other for other in range(1, 41) if other != rank]
    first = [min(rng.choice(others, smaller_size - 1, replace=False)) > rank for _ in range(20_000)]
    assert top1_probability(rank, 40, smaller_size) == pytest.approx(np.mean(first), abs=0.012)


def test_large_shelves_do_not_overflow():
    assert top1_probability(2, 66_358, 600) == pytest.approx(1 - 599 / 66_357)


@pytest.mark.parametrize("rank, shelf, smaller_size", [(1, 5, 6), (1, 5, 0), (6, 5, 2), (0, 5, 2)])
def test_an_impossible_shelf_is_an_error(rank, shelf, smaller_size):
    with pytest.raises(SgmnError, match="smaller shelf"):
        top1_probability(rank, shelf, smaller_size)
