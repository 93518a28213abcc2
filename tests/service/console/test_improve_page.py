"""Training from reviews: counts, progress, old against new, and an admin who switches and back."""

from __future__ import annotations

from collections.abc import Callable

import httpx

from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor
from tests.service.improvements.conftest import choose_id

Visit = Callable[..., Visitor]
SEGMENTS, SECONDS = 24, 1.5
WAIT_MS = 240_000  # a training starts a process of its own


def review_segments(service: ConsoleService, count: int = SEGMENTS) -> None:
    """Review parts of the ended session, of which every fourth is held out."""
    for number in range(count):
        review = choose_id(service.ended, number, "train" if number % 4 else "val")
        body = {
            "start": number * SECONDS,
            "end": (number + 1) * SECONDS,
            "product_id": f"p{number % 6}",
            "verdict": "corrected",
        }
        path = f"/v1/sessions/{service.ended}/reviews/{review}"
        service.client.put(path, json=body).raise_for_status()


def train(service: ConsoleService) -> str:
    """Start a training of two steps and return its id."""
    path = f"/v1/catalogues/{service.catalogue}/improvements"
    return str(service.client.post(path, json={"steps": 2}).raise_for_status().json()["id"])


def test_too_few_reviews_are_told_and_nothing_starts(visit: Visit, service: ConsoleService) -> None:
    review_segments(service, 5)
    visitor = visit(f"/console/improve/{service.catalogue}", is_phone=True)
    visitor.wait_for_text("main", "3 reviewed segments to train on and 2 to compare on")
    assert visitor.page.get_by_role("button", name="Train a new model").is_disabled()
    assert visitor.overflow() <= 0


def test_a_training_is_started_and_cancelled(visit: Visit, service: ConsoleService) -> None:
    review_segments(service)
    visitor = visit("/console/improve", service.make_key("who trains"))
    visitor.wait_for_text("main", "18 (at least 8)")
    visitor.page.get_by_role("button", name="Train a new model").click()
    visitor.page.get_by_label("Training").get_by_role("button", name="Cancel").click()
    visitor.page.get_by_text("The training was cancelled.").wait_for(timeout=WAIT_MS)
    visitor.page.locator("[data-improvement] .badge", has_text="cancelled").first.wait_for()
    assert visitor.page.get_by_role("button", name="Train a new model").is_enabled()


def test_an_admin_uses_the_new_model_and_goes_back(visit: Visit, service: ConsoleService) -> None:
    review_segments(service)
    improvement = train(service)
    catalogue = f"/v1/catalogues/{service.catalogue}"
    editor = visit("/console/improve", service.make_key("who looks on"))
    editor.page.locator("progress[aria-label=Training]").wait_for()
    card = f"[data-improvement={improvement}]"
    editor.page.locator(f"{card} table").wait_for(timeout=WAIT_MS)
    operation = service.get(f"/v1/operations/{improvement}")
    recall = operation["result"]["comparison"]["recall_1"]
    cells = editor.page.locator(f"{card} tbody tr").first.locator("td").all_inner_texts()
    assert cells[:2] == [f"{100 * recall['a']:.1f}%", f"{100 * recall['b']:.1f}%"]
    assert cells[3] == f"{recall['p']:.3f}"
    assert "Only an admin can switch models." in editor.text(card)
    assert editor.page.get_by_role("button", name="Use this model").count() == 0

    admin = visit("/console/improve")
    for button, model in (("Use this model", improvement), ("Go back to the previous model", None)):
        admin.page.locator(card).get_by_role("button", name=button).click()
        admin.page.get_by_role("dialog").get_by_role("button", name=button).click()
        other = "Go back to the previous model" if model else "Use this model"
        place = admin.page.locator(card).get_by_role("button", name=other)
        place.wait_for(timeout=WAIT_MS)
        assert service.get(catalogue)["model_id"] == model
    answer: httpx.Response = service.client.post(f"{catalogue}/search", json={"text": "red milk"})
    assert answer.json()["items"]
