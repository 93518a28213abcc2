"""Phrases are read from a file, and refused if they cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sgmn.errors import SettingsError
from sgmn.records import Product
from sgmn.training.data.phrases import Phrases, load_phrases
from sgmn.training.data.synthetic_transcripts import (
    CATEGORY_PROB,
    FULL_NAME_PROB,
    compose_transcript,
)

PHRASES = """
openings = ["hi"]
product_mentions = ["now {name}"]
category_mentions = ["some {name}"]
other_product_mentions = ["no {name}"]
fillers = ["buy it"]
"""


def test_phrases_of_a_file_replace_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "phrases.toml").write_text(PHRASES)
    phrases, rng = load_phrases(tmp_path / "phrases.toml"), np.random.default_rng(0)
    milk, apple = Product("p0", "Arla Milk", category="Milk"), Product("p1", "Gala")
    texts = [compose_transcript(milk, [apple], [], rng, phrases) for _ in range(200)]
    parts = ("hi", "now arla milk", "some milk", "no gala", "buy it")
    assert all(text.startswith("hi") for text in texts)
    rest = " ".join(texts)
    for part in sorted(parts, key=len, reverse=True):
        rest = rest.replace(part, "")
    assert not rest.strip()
    shares = [sum(part in text for text in texts) / 200 for part in parts[1:3]]
    assert shares == pytest.approx([FULL_NAME_PROB, CATEGORY_PROB], abs=0.08)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('product_mentions = ["this"]', r"'product_mentions' is 'this'.*use \{name\} exactly once"),
        (
            'other_product_mentions = ["{name} or {name}"]',
            "'other_product_mentions' is .*exactly once",
        ),
        ('fillers = ["{name}"]', r"'fillers' is '\{name\}'.*name no product"),
        ("fillers = []", "'fillers' .*add at least one phrase"),
        ('greetings = ["hi"]', "unknown key 'greetings'"),
    ],
)
def test_unusable_phrases_are_refused(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "phrases.toml").write_text(line)
    with pytest.raises(SettingsError, match=message) as error:
        load_phrases(tmp_path / "phrases.toml")
    assert "phrases.toml" in str(error.value)


def test_products_without_a_title_are_not_mentioned() -> None:
    """Neither the product on sale nor another one. Other braces in a phrase are kept."""
    rng, untitled = np.random.default_rng(0), Product("p0", "", image=Path("p0.jpg"))
    phrases = Phrases(("hi",), ("now {name} at 50% {off}",), (), ("no {name}",), ("buy",))
    texts = [compose_transcript(untitled, [], [], rng, phrases) for _ in range(50)]
    assert not any("now" in text for text in texts)
    milk = Product("p1", "Milk")
    texts = [compose_transcript(milk, [], [], rng, phrases) for _ in range(50)]
    assert any("now milk at 50% {off}" in text for text in texts)
