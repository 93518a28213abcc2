"""Products of a shop with similar titles."""

from __future__ import annotations

import pytest

from sgmn.training.data import title_neighbors as module
from sgmn.training.data.title_neighbors import title_neighbors

TITLES = {
    ("a", "red"): "Zirrum tea red 250 g",
    ("a", "blue"): "Zirrum Tea blue 250 g",
    ("a", "big"): "zirrum tea blue 500 g new",
    ("a", "set"): "Zirrum tea red 250 g in a gift box of fine wood",
    ("a", "lamp"): "desk lamp",
    ("a", "untitled"): "",
    ("b", "tea"): "Zirrum tea red 250 g",
}


@pytest.mark.parametrize("rows", [1, 1024])
def test_the_nearest_titles_of_the_same_shop(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jaccard: red and blue share 4 of 6 words, blue and big 4 of 7, red and big 3 of 8.

    The set shares more words with red than blue does, but 5 of 12.
    """
    monkeypatch.setattr(module, "ROWS", rows)
    nearest = title_neighbors(TITLES, 2)
    assert nearest["a", "red"] == [("a", "blue"), ("a", "set")]
    assert nearest["a", "blue"] == [("a", "red"), ("a", "big")]
    assert nearest["a", "big"] == [("a", "blue"), ("a", "red")]
    assert nearest["a", "lamp"] == nearest["a", "untitled"] == nearest["b", "tea"] == []
    assert title_neighbors(TITLES, 1)["a", "big"] == [("a", "blue")]
