"""Transcripts of photos: of the right product, or of another one as often as configured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sgmn.training.config import DataConfig
from sgmn.training.data.examples import Examples
from sgmn.training.data.transcript_sampler import TranscriptSampler
from tests.training.data.conftest import TRAIN
from tests.training.data.test_phrases import PHRASES


@pytest.mark.parametrize("prob", [0.0, 0.4])
def test_transcripts_are_of_another_product_with_the_given_probability(
    examples: Examples, tmp_path: Path, rng: np.random.Generator, prob: float
) -> None:
    lines = [
        json.dumps({"product_id": key[1], "talking_points": [f"point of {key[1]}"]})
        for key in examples.products
    ]
    (tmp_path / "points.jsonl").write_text("\n".join(lines))
    data = DataConfig((tmp_path,), talking_points=(tmp_path / "points.jsonl",))
    train = replace(TRAIN, drop_transcript_prob=0.0, drop_word_prob=0.0, wrong_transcript_prob=prob)
    sampler = TranscriptSampler(examples, data, train)
    photo = examples.photos_by_product["", "p2"][0]
    texts = [sampler.sample(photo, [], rng) for _ in range(400)]
    own = sum("point of p2" in text for text in texts)
    others = sum("point of p" in text for text in texts) - own
    assert others / (own + others) == pytest.approx(prob, abs=0.08)


def test_synthetic_transcripts_use_the_configured_phrases_and_skip_products_without_a_title(
    examples: Examples, tmp_path: Path, rng: np.random.Generator
) -> None:
    (tmp_path / "phrases.toml").write_text(PHRASES)
    data = DataConfig((tmp_path,), phrases=tmp_path / "phrases.toml")
    sampler = TranscriptSampler(examples, data, TRAIN)
    key, other = ("", "p2"), ("", "p1")
    texts = [sampler.compose(key, [other], rng) for _ in range(100)]
    assert all(text.startswith("hi") for text in texts) and any("no " in text for text in texts)
    products = examples.products
    examples.products = products | {other: replace(products[other], title="")}
    assert not any("no " in sampler.compose(key, [other], rng) for _ in range(100))
