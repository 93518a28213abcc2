"""Reviewing: each key, autosave, conflicts of two people, and nothing that is lost."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from tests.service.console.shop import ConsoleService
from tests.service.console.storm import SAVED, run_storm
from tests.service.console.visitor import Visitor

Visit = Callable[..., Visitor]


def open_queue(visit: Visit, service: ConsoleService, **options: Any) -> Visitor:
    visitor = visit(f"/console/review?session={service.ended}", **options)
    visitor.page.locator(".answer-title").wait_for()
    return visitor


def queue(service: ConsoleService) -> list[dict[str, Any]]:
    items = service.get("/v1/review-queue", session_id=service.ended)["items"]
    return [item["segment"] for item in items]


def press_and_wait(visitor: Visitor, key: str) -> None:
    """Press a key and wait until another segment is shown."""
    before = visitor.text(".review-about .number >> nth=0")
    visitor.press(key)
    script = "(t) => document.querySelector('.review-about .number')?.innerText !== t"
    visitor.wait(script, before)


def test_each_key_answers_and_goes_on(visit: Visit, service: ConsoleService) -> None:
    segments = queue(service)
    visitor = open_queue(visit, service)
    for key in ("Enter", "1", "2", "3", "0"):
        press_and_wait(visitor, key)
    visitor.press("/")
    visitor.page.get_by_role("combobox").fill("juice")
    visitor.page.get_by_role("option").first.wait_for()
    title = visitor.text("[role=option][aria-selected=true] span >> nth=0")
    visitor.press("Enter")
    visitor.wait_for_text(".page-head", f"{len(segments) - 6} segment")
    visitor.wait(SAVED)

    reviews = service.reviews(service.ended)
    assert len(reviews) == 6
    for index, segment in enumerate(segments[:6]):
        review = reviews[f"m-{round(1000 * segment['start'])}"]
        assert (review["start"], review["end"]) == (segment["start"], segment["end"])
        alternatives = [one["product_id"] for one in segment["alternatives"]]
        if index == 0:
            assert review["product_id"] == segment["product_id"]
            assert review["verdict"] == "confirmed"
        elif index < 4:
            assert review["product_id"] == alternatives[index - 1]
            assert review["verdict"] == "corrected"
        elif index == 4:
            assert (review["verdict"], review["product_id"]) == ("nothing", None)
        else:
            found = service.get(f"/v1/sessions/{service.ended}/timeline", layer="reviewed")
            titles = {one["product_id"]: one["title"] for one in found["segments"]}
            assert titles[review["product_id"]] == title

    visitor.press("u", "u")
    visitor.wait_for_text(".page-head", f"{len(segments) - 4} segments")
    visitor.wait(SAVED)
    assert len(service.reviews(service.ended)) == 4
    machine = service.get(f"/v1/sessions/{service.ended}/timeline", layer="machine")["segments"]
    assert all(one["review_id"] is None for one in machine)


def test_two_people_see_each_other_and_decide_conflicts(
    visit: Visit, service: ConsoleService
) -> None:
    first = open_queue(visit, service, key=service.make_key("Anna"), may_fail=True)
    second = open_queue(visit, service, key=service.make_key("Ben"), may_fail=True)
    total = len(queue(service))
    first.press("Enter")
    first.wait(SAVED)
    second.wait_for_text(".note", "Anna has reviewed this segment in the meantime.")
    second.wait_for_text(".page-head", f"{total - 1} segments")
    second.press("ArrowRight")

    # Both answer the same segment while neither hears of the other.
    for visitor in (first, second):
        visitor.page.route("**/console/stream*", lambda route: route.abort())
    first.context.set_offline(True)
    first.press("Enter")
    first.wait_for_text(".saving", "1 review is not saved yet")
    press_and_wait(second, "0")
    second.wait(SAVED)
    first.context.set_offline(False)
    first.wait_for_text(".conflict", "Ben has also reviewed this segment: “Nothing on sale”")
    stored = service.reviews(service.ended)
    assert sorted(review["author"] for review in stored.values()) == ["Anna", "Ben"]
    first.page.get_by_role("button", name="Save mine").click()
    first.wait(SAVED)
    stored = service.reviews(service.ended)
    assert [review["author"] for review in stored.values()] == ["Anna", "Anna"]
    assert {review["verdict"] for review in stored.values()} == {"confirmed"}


def test_key_storms_lose_nothing(visit: Visit, service: ConsoleService) -> None:
    visitor = visit("/console/live", may_fail=True)  # the tiny model has no heatmaps
    for seed in range(3):
        assert run_storm(visitor, service, Random(seed), keys=60) > 5


def test_what_is_not_saved_survives_a_reload_and_a_restart(
    visit: Visit, service: ConsoleService
) -> None:
    visitor = open_queue(visit, service, may_fail=True)
    visitor.page.route("**/reviews/*", lambda route: route.abort())
    press_and_wait(visitor, "Enter")
    visitor.press("0")
    visitor.wait_for_text(".saving", "2 reviews are not saved yet")
    service.restart()
    visitor.page.unroute("**/reviews/*")
    visitor.page.on("dialog", lambda dialog: dialog.accept())
    visitor.page.reload()
    visitor.wait(SAVED)
    verdicts = [review["verdict"] for review in service.reviews(service.ended).values()]
    assert sorted(verdicts) == ["confirmed", "nothing"]
