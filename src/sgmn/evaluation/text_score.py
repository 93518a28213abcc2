"""Fit the weight and the floor of the score's text term on labeled clips.

A model sees its own training images too well, so the weight of the text term that it learns is
too small; and clips whose transcripts are always right never ask for a floor. Both are fitted
here on clips that the model has not seen, each with its own transcript and with that of a clip
that sells something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor

from sgmn.errors import SgmnError
from sgmn.model.scoring import ScoreWeights, Term, combine_terms, soft_floor

# Candidates: the text weight as a ratio to the weight of all image terms, and the floor, a cosine.
RATIOS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)
FLOORS = (-1.0, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7)
TEMPERATURES = tuple(1 / scale for scale in (0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0))
WRONG_SHARE = 0.2  # of all transcripts that are taken for wrong, in the log loss
Terms = Mapping[str, Term]


@dataclass(frozen=True, slots=True)
class TranscriptTrial:
    """Clips of one shop: the terms of their scores (B, S), and the true column of each (B,).

    `own` are the terms with the clips' own transcripts, `swapped` those with the transcripts of
    clips that sell something else. Compute both by `scoring.compute_terms` with `without_floor`.
    """

    own: Terms
    swapped: Terms
    truth: Tensor


@dataclass(frozen=True, slots=True)
class TextScoreFit:
    """A candidate: weight and floor of the text term, and what they achieve.

    log_loss: nats, at the best `temperature`, a factor on the logits' divisor. recall_1 and
    swapped_recall_1: R@1 per dataset, 0..1, with own and with swapped transcripts.
    """

    text_weight: float
    text_score_floor: float
    log_loss: float
    temperature: float
    recall_1: tuple[float, ...]
    swapped_recall_1: tuple[float, ...]


def without_floor(weights: ScoreWeights) -> ScoreWeights:
    """The weights to compute the terms of a trial with: text counts, and has no floor."""
    return weights._replace(text=torch.tensor(1.0), text_score_floor=torch.tensor(-1.0))


def swapped_places(product_keys: Sequence[frozenset[tuple[str, str]]]) -> list[int]:
    """For each clip the place of the next one, in a circle, that sells none of its products.

    Raises SgmnError if all clips sell the same product.

    >>> swapped_places([frozenset({("", name)}) for name in "aab"])
    [2, 2, 0]
    """
    places = []
    for place, own in enumerate(product_keys):
        others = (*range(place + 1, len(product_keys)), *range(place))
        other = next((other for other in others if not own & product_keys[other]), None)
        if other is None:
            remedy = "use clips of at least two products"
            raise SgmnError("all clips sell the same product", "text score", remedy)
        places.append(other)
    return places


def fit_text_score(
    datasets: Sequence[Sequence[TranscriptTrial]], weights: ScoreWeights
) -> tuple[TextScoreFit, tuple[TextScoreFit, ...]]:
    """Find the text weight and floor of the least log loss; returns it and all candidates.

    Args:
        datasets: trials of each dataset; all datasets count equally, however many clips they have.
        weights: the weights of the model's score.
    """
    images = float(1 + weights.match + weights.instances)
    fits = tuple(
        evaluate_text_score(datasets, weights, ratio * images, floor)
        for ratio, floor in product(RATIOS, FLOORS)
    )
    return min(fits, key=lambda fit: fit.log_loss), fits


def evaluate_text_score(
    datasets: Sequence[Sequence[TranscriptTrial]],
    weights: ScoreWeights,
    text_weight: float,
    floor: float,
) -> TextScoreFit:
    """Measure one candidate."""
    own = [_true_logits(trials, weights, text_weight, floor) for trials in datasets]
    swapped = [_true_logits(trials, weights, text_weight, floor, True) for trials in datasets]
    losses = {
        temperature: sum(
            (1 - WRONG_SHARE) * _log_loss(right, temperature)
            + WRONG_SHARE * _log_loss(wrong, temperature)
            for right, wrong in zip(own, swapped, strict=True)
        )
        / len(datasets)
        for temperature in TEMPERATURES
    }
    best = min(losses, key=losses.__getitem__)
    recalls = (tuple(map(_recall_1, logits)) for logits in (own, swapped))
    return TextScoreFit(text_weight, floor, losses[best], best, *recalls)


Logits = list[tuple[Tensor, Tensor]]  # of each trial: logits (B, S) and true columns (B,)


def _true_logits(
    trials: Sequence[TranscriptTrial],
    weights: ScoreWeights,
    text_weight: float,
    floor: float,
    is_swapped: bool = False,
) -> Logits:
    result = []
    for trial in trials:
        terms = dict(trial.swapped if is_swapped else trial.own)
        text = terms["text"]
        value = soft_floor(text.value, torch.tensor(floor))
        terms["text"] = Term(torch.tensor(text_weight), value, text.presence)
        result.append((combine_terms(terms.values()) * weights.logit_scale, trial.truth))
    return result


def _log_loss(logits: Logits, temperature: float) -> float:
    losses = [
        -(rows / temperature).log_softmax(1).gather(1, truth[:, None]) for rows, truth in logits
    ]
    return float(torch.cat(losses).mean())


def _recall_1(logits: Logits) -> float:
    hits = [rows > rows.gather(1, truth[:, None]) for rows, truth in logits]
    return float(torch.cat([(better.sum(1) == 0).float() for better in hits]).mean())
