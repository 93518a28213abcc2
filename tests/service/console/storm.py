"""Storms of random keys on the review queue, and what must be true after them.

`tools/console_storm.py` runs many, the tests a few.
"""

from __future__ import annotations

from random import Random
from typing import Any

from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor

KEYS = ("Enter", "1", "2", "0", "u", "ArrowLeft")
IDLE_KEYS = ("h", "x", "Shift", "Escape")  # they change no review
SAVED = "() => document.querySelector('.saving')?.dataset.saving === 'saved'"
LANE = "() => [...document.querySelectorAll('.lane')[1].children].map((bar) => bar.title)"


def run_storm(visitor: Visitor, service: ConsoleService, rng: Random, keys: int) -> int:
    """Press random keys as fast as the browser takes them; return how many answers were given.

    Afterwards the reviews are those of a simple model of the keys, the machine's layer has not
    changed, and a new page shows the layer of the reviews as the service has it. The reviews are
    deleted before.
    """
    service.forget_reviews()
    timeline = f"/v1/sessions/{service.ended}/timeline"
    machine = service.get(timeline, layer="machine")["segments"]
    visitor.open(f"/console/review?session={service.ended}")
    visitor.page.locator(".answer-title").wait_for()
    model = QueueModel(service)
    for _ in range(keys):
        key = rng.choice(IDLE_KEYS if rng.random() < 0.1 else KEYS)
        model.press(key)
        visitor.press(key)
    visitor.wait(SAVED)
    stored = service.reviews(service.ended)
    found = {name: (one["verdict"], one["product_id"]) for name, one in stored.items()}
    assert found == model.reviews, (found, model.reviews)
    assert service.get(timeline, layer="machine")["segments"] == machine
    visitor.open(f"/console/sessions/{service.ended}")
    segments = service.get(timeline, layer="reviewed")["segments"]
    titles = [one["title"] or "Nothing on sale" for one in segments]
    visitor.wait(f"(titles) => String(({LANE})()) === String(titles)", titles)
    return model.answers


class QueueModel:
    """Does what the page should do, in its own simple way.

    Attributes:
        reviews: The verdict and the product of each review, by its id.
        answers: How many answers were given.
    """

    def __init__(self, service: ConsoleService) -> None:
        items = service.get("/v1/review-queue", session_id=service.ended)["items"]
        self._segments: list[dict[str, Any]] = [item["segment"] for item in items]
        self._names = [f"m-{round(1000 * one['start'])}" for one in self._segments]
        self._position = 0
        self._steps: list[tuple[int, Any]] = []  # positions that were answered, and what was before
        self.reviews: dict[str, Any] = {}
        self.answers = 0

    def press(self, key: str) -> None:
        """Press a key."""
        if key == "ArrowLeft":
            self._position = max(0, self._position - 1)
        elif key == "u" and self._steps:
            self._undo()
        elif key in ("Enter", "0", "1", "2") and self._position < len(self._segments):
            self._answer(key)

    def _undo(self) -> None:
        self._position, before = self._steps.pop()
        name = self._names[self._position]
        self.reviews.pop(name)
        if before is not None:
            self.reviews[name] = before

    def _answer(self, key: str) -> None:
        segment, name = self._segments[self._position], self._names[self._position]
        before = self.reviews.get(name)
        shown = segment["product_id"] if before is None else before[1]
        others = [one["product_id"] for one in segment["alternatives"]]
        others = [one for one in others if one != shown]
        chosen = {"Enter": shown, "0": None, "1": others[0], "2": others[1]}[key]
        verdict = "confirmed" if chosen == segment["product_id"] else "corrected"
        self._steps.append((self._position, before))
        self.reviews[name] = ("nothing", None) if chosen is None else (verdict, chosen)
        self.answers += 1
        self._position += 1
        while self._position < len(self._names) and self._names[self._position] in self.reviews:
            self._position += 1
