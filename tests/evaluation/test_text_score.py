"""The fit of the text term: its scores are the score's own, its losses those of plain loops."""

from __future__ import annotations

from math import exp, log
from statistics import fmean

import pytest
import torch

from sgmn.errors import SgmnError
from sgmn.evaluation.text_score import (
    TEMPERATURES,
    WRONG_SHARE,
    TranscriptTrial,
    evaluate_text_score,
    fit_text_score,
    swapped_places,
    without_floor,
)
from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreWeights, compute_terms, score

WEIGHTS = ScoreWeights(
    match=torch.tensor(0.7),
    text=torch.tensor(0.0),
    cross=torch.tensor(0.3),
    match_temperature=torch.tensor(0.1),
    logit_scale=torch.tensor(9.0),
)


def clip_vectors(count: int, seed: int) -> ClipVectors:
    rng = torch.Generator().manual_seed(seed)
    frames, text = (
        torch.nn.functional.normalize(torch.randn(*shape, generator=rng), dim=-1)
        for shape in ((count, 3, 8), (count, 8))
    )
    present = torch.ones(count, dtype=torch.bool)
    reliability = 0.5 + torch.rand(count, generator=rng)
    image = torch.nn.functional.normalize(frames.mean(1), dim=-1)
    weights = torch.full((count, 3), 1 / 3)
    return ClipVectors(frames, weights, image, present, text, present, text_reliability=reliability)


def product_vectors(count: int, seed: int = 5) -> ProductVectors:
    rng = torch.Generator().manual_seed(seed)
    image, text = torch.nn.functional.normalize(torch.randn(2, count, 8, generator=rng), dim=-1)
    present = torch.ones(count, dtype=torch.bool)
    return ProductVectors(image, present, text, present)


def make_trial(count: int, seed: int) -> TranscriptTrial:
    products = product_vectors(4)
    own, swapped = (
        compute_terms(clip_vectors(count, seed + shift), products, without_floor(WEIGHTS))
        for shift in (0, 100)
    )
    return TranscriptTrial(own, swapped, torch.arange(count) % 4)


def expected_loss(count: int, seed: int, text: float, floor: float, temperature: float) -> float:
    """The log loss by the score itself and plain loops."""
    changed = WEIGHTS._replace(text=torch.tensor(text), text_score_floor=torch.tensor(floor))
    losses = []
    for seed_shift in (0, 100):
        vectors = clip_vectors(count, seed + seed_shift)
        logits = 9.0 * score(vectors, product_vectors(4), changed) / temperature
        rows = logits.tolist()
        losses.append(
            fmean(log(sum(map(exp, row))) - row[place % 4] for place, row in enumerate(rows))
        )
    return (1 - WRONG_SHARE) * losses[0] + WRONG_SHARE * losses[1]


@pytest.mark.parametrize(("text", "floor"), [(0.0, -1.0), (0.4, -1.0), (0.4, 0.2)])
def test_loss_is_that_of_the_score(text: float, floor: float) -> None:
    fit = evaluate_text_score([[make_trial(5, 0)]], WEIGHTS, text, floor)
    expected = {t: expected_loss(5, 0, text, floor, t) for t in TEMPERATURES}
    assert fit.log_loss == pytest.approx(min(expected.values()), rel=1e-5)
    assert expected[fit.temperature] == pytest.approx(fit.log_loss, rel=1e-5)


def test_datasets_count_equally() -> None:
    small, large = make_trial(3, 0), make_trial(7, 1)
    both = evaluate_text_score([[small], [large]], WEIGHTS, 0.5, -1.0)
    means = [
        (expected_loss(3, 0, 0.5, -1.0, t) + expected_loss(7, 1, 0.5, -1.0, t)) / 2
        for t in TEMPERATURES
    ]
    assert both.log_loss == pytest.approx(min(means), rel=1e-5)
    assert len(both.recall_1) == len(both.swapped_recall_1) == 2


def test_best_candidate_has_the_least_loss() -> None:
    best, candidates = fit_text_score([[make_trial(6, 2)]], WEIGHTS)
    assert best.log_loss == min(fit.log_loss for fit in candidates)
    unweighted = [fit for fit in candidates if fit.text_weight == 0]
    assert len({fit.log_loss for fit in unweighted}) == 1  # a floor of nothing changes nothing
    weights = {round(fit.text_weight, 6) for fit in candidates}
    assert max(weights) == pytest.approx(0.7 * 1.7)  # relative to all image terms


def test_swapped_transcripts_are_never_of_the_same_product() -> None:
    keys = [frozenset({("", name)}) for name in "ddbcd"]
    assert swapped_places(keys) == [2, 2, 3, 4, 2]
    with pytest.raises(SgmnError, match="use clips of at least two products"):
        swapped_places(keys[:2])
