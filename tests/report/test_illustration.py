"""Elements of contact sheets and videos."""

from __future__ import annotations

import numpy as np

from sgmn.model.explanation import AttentionMap
from sgmn.model.word_spans import WordWeight
from sgmn.report.canvas import TEXT_COLOR, Canvas, Color
from sgmn.report.illustration import select_highest_weights


def test_highest_weights_stay_in_order_of_time() -> None:
    maps = [AttentionMap(weight, None) for weight in (0.1, 0.3, 0.05, 0.25, 0.3)]
    assert select_highest_weights(maps, 3) == [1, 3, 4]
    assert select_highest_weights(maps, 9) == [0, 1, 2, 3, 4]


def test_equal_weights_are_spread_evenly() -> None:
    maps = [AttentionMap(0.1, None) for _ in range(10)]
    assert select_highest_weights(maps, 5) == [0, 2, 4, 6, 8]


def test_of_too_many_words_those_with_the_highest_weights_are_drawn() -> None:
    """The last of 400 words is drawn, as dark as possible, because it weighs most."""
    words = tuple(WordWeight(f"word{n}", (0.5 if n == 399 else 0.5 / 399)) for n in range(400))
    drawn: list[str] = []

    class RecordingCanvas(Canvas):
        def draw_text(
            self,
            position: tuple[int, int],
            text: str,
            size: int,
            color: Color = TEXT_COLOR,
            anchor: str = "la",
        ) -> None:
            drawn.append(text)
            super().draw_text(position, text, size, color, anchor)

    canvas = RecordingCanvas(600, 400)
    assert canvas.draw_words(words, (0, 0, 600, 100), 20) <= 100
    assert drawn[-2:] == ["word399", "…"] and 20 < len(drawn) < 200
    pixels = np.asarray(canvas.image)
    assert (pixels[100:] == 255).all() and pixels.min() < 40
