"""Synthetic transcripts: how often they name the product, and what recognition leaves of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sgmn.errors import RecordError
from sgmn.records import Product
from sgmn.training.data.synthetic_transcripts import (
    CATEGORY_PROB,
    FULL_NAME_PROB,
    TALKING_POINT_PROB,
    add_recognition_errors,
    compose_transcript,
    load_talking_points,
)


def test_transcripts_usually_leave_the_name_unsaid() -> None:
    rng = np.random.default_rng(0)
    milk = Product("p0", "Arla Ecological Milk", category="Milk")
    other = Product("p1", "Granny Smith", category="Apple")
    texts = [compose_transcript(milk, [other], [], rng) for _ in range(400)]
    full = sum("arla ecological milk" in text for text in texts) / 400
    category = sum("milk" in text for text in texts) / 400
    assert full == pytest.approx(FULL_NAME_PROB, abs=0.08)
    assert category == pytest.approx(FULL_NAME_PROB + CATEGORY_PROB, abs=0.08)
    mentions = [sum(name in text for text in texts) / 400 for name in ("granny smith", "apple")]
    assert all(0.08 < share < 0.25 for share in mentions)
    assert len(set(texts)) > 300


def test_recognition_drops_words_and_keeps_their_order() -> None:
    text = " ".join(f"w{number}" for number in range(300))
    recognized = add_recognition_errors(text, 0.2, np.random.default_rng(1)).split()
    kept = [word for word in recognized if word.startswith("w")]
    assert 0.7 < len(kept) / 300 < 0.9 and len(recognized) > len(kept)
    assert kept == sorted(kept, key=lambda word: int(word[1:]))
    assert add_recognition_errors(text, 0.0, np.random.default_rng(1)) == text


def test_talking_points_are_used_for_their_product(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    path.write_text(
        '{"product_id": "p0", "talking_points": ["it is white", "for coffee"]}\n'
        '{"product_id": "p0", "shop_id": "s", "talking_points": ["another"]}\n'
    )
    points = load_talking_points([path], {("", "p0"), ("s", "p0")})
    assert points == {("", "p0"): ("it is white", "for coffee"), ("s", "p0"): ("another",)}
    rng, own = np.random.default_rng(0), points["", "p0"]
    texts = [compose_transcript(Product("p0", "Milk"), [], own, rng) for _ in range(300)]
    shares = [sum(point in text for text in texts) / 300 for point in own]
    assert sum(shares) == pytest.approx(TALKING_POINT_PROB, abs=0.08) and min(shares) > 0.2


def test_talking_points_of_an_unknown_product_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.jsonl"
    path.write_text('{"product_id": "p0", "talking_points": ["it is white"]}\n')
    message = r"points\.jsonl:1.*'p0' is not in the training data"
    with pytest.raises(RecordError, match=message):
        load_talking_points([path], set())
