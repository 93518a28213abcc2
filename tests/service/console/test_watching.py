"""One live stream, the timeline of a session, and why: what they show, and their keys."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor

Visit = Callable[..., Visitor]
SAVED = "() => document.querySelector('.saving')?.dataset.saving === 'saved'"
PICTURE = "() => document.querySelector('.frame-view img')?.naturalWidth > 0"
NEXT_WINDOW = "(before) => document.querySelector('.page').dataset.window > before"


def window(visitor: Visitor) -> float:
    """The time of the newest window that the page shows."""
    visitor.wait("() => document.querySelector('.page').dataset.window")
    return float(visitor.page.locator(".page").get_attribute("data-window") or 0)


def test_a_live_stream_is_watched_and_answered(visit: Visit, service: ConsoleService) -> None:
    visitor = visit(f"/console/live/{service.running}")
    first = window(visitor)
    visitor.wait(PICTURE)
    source = visitor.page.locator(".frame-view img").get_attribute("src")
    visitor.wait("(s) => document.querySelector('.frame-view img').src !== s", source)
    visitor.wait(NEXT_WINDOW, first)
    assert "s behind" in visitor.text(".page-head") and "live" in visitor.text(
        ".page-head .badge[data-state]"
    )
    assert visitor.page.locator(".runners-up li").count() == 3
    visitor.press("Enter")
    visitor.wait(SAVED)
    [review] = service.reviews(service.running).values()
    assert review["verdict"] == "confirmed" and review["end"] > review["start"]
    visitor.press("u")
    visitor.wait(SAVED)
    assert not service.reviews(service.running)
    visitor.press("s")
    sound = visitor.page.get_by_role("button", name="Sound of alerts")
    assert sound.get_attribute("aria-pressed") == "true"


def test_a_stream_is_watched_from_before_its_first_frame(
    visit: Visit, service: ConsoleService
) -> None:
    session = service.start_session("running.mp4", realtime=True)
    try:
        visitor = visit(f"/console/live/{session}")
        visitor.wait(PICTURE)
        visitor.open("/console/live")
        visitor.wait("() => [...document.querySelectorAll('.wall img')].at(-1)?.naturalWidth > 0")
    finally:
        service.client.delete(f"/v1/sessions/{session}").raise_for_status()


def test_a_service_that_restarts_is_found_again(visit: Visit, service: ConsoleService) -> None:
    visitor = visit(f"/console/live/{service.running}", may_fail=True)
    before = window(visitor)
    service.restart()
    visitor.wait(NEXT_WINDOW, before)
    visitor.wait("() => document.querySelector('.page').dataset.connection === 'open'")
    visitor.wait("() => document.querySelector('.page').dataset.state === 'running'")


def test_a_timeline_is_zoomed_reviewed_and_its_edges_are_moved(
    visit: Visit, service: ConsoleService
) -> None:
    visitor = visit(f"/console/sessions/{service.ended}")
    path = f"/v1/sessions/{service.ended}/timeline"
    machine = service.get(path)["segments"]
    visitor.press("]", "]", "[")
    slider = visitor.page.get_by_role("slider")
    assert float(slider.get_attribute("aria-valuenow")) == machine[1]["start"]
    bars = visitor.page.locator(".lane").first.locator(".bar-segment")
    assert bars.count() == len(machine)
    visitor.press("+", "+", "+", "+")
    assert bars.count() < len(machine)
    visitor.press("f")
    assert bars.count() == len(machine)

    visitor.press("Enter", ".", ".", ",", "<")
    visitor.wait(SAVED)
    reviewed = service.get(path, layer="reviewed")["segments"]
    start, end = machine[1]["start"] + 0.5, machine[1]["end"] - 0.5
    [moved] = [one for one in reviewed if (one["start"], one["end"]) == (start, end)]
    assert moved["product_id"] == machine[1]["product_id"]
    before = [one for one in reviewed if one["end"] == start]
    assert [one["product_id"] for one in before] == [machine[0]["product_id"]]
    for one, other in pairwise(reviewed):
        assert one["end"] == pytest.approx(other["start"])
    assert service.get(path)["segments"] == machine

    visitor.press("l")
    least = min((one for one in reviewed if not one["review_id"]), key=lambda o: o["confidence"])
    assert float(slider.get_attribute("aria-valuenow")) == pytest.approx(least["start"], abs=0.06)
    chapter = visitor.page.locator(".chapters button").first
    chapter.click()
    assert chapter.get_attribute("aria-current") == "true"


def test_a_recording_is_played_and_exported(visit: Visit, service: ConsoleService) -> None:
    visitor = visit(f"/console/sessions/{service.ended}")
    visitor.wait("() => document.querySelector('.player video').readyState >= 2")
    visitor.press(" ")
    position = "document.querySelector('[role=slider]').ariaValueNow"
    visitor.wait(f"() => {position} > 1")
    visitor.press(" ")
    visitor.wait("() => document.querySelector('.player video').paused")
    visitor.page.get_by_text("Export").click()
    for name in ("Timeline (JSON)", "Chapters (WebVTT)", "Segments (WebVTT)", "Table (CSV)"):
        with visitor.page.expect_download() as download:
            visitor.page.get_by_role("link", name=name).click()
        assert download.value.suggested_filename.startswith(service.ended)


def test_why_shows_frame_shop_image_and_chances(visit: Visit, service: ConsoleService) -> None:
    visitor = visit(f"/console/sessions/{service.ended}/why/12.0", may_fail=True)
    segment = next(
        one
        for one in service.get(f"/v1/sessions/{service.ended}/timeline")["segments"]
        if one["start"] <= 12.0 < one["end"]
    )
    visitor.wait(PICTURE)
    visitor.wait("() => document.querySelector('.why-product img')?.naturalWidth > 0")
    assert visitor.text("h1") == f"Why {segment['title']}?"
    assert visitor.page.locator(".why-facts > :not(.why-parts) tbody tr").count() == 6 + len(
        segment["alternatives"]
    )
    check_parts(visitor, service.get(f"/v1/sessions/{service.ended}/windows/12.0")["scores"])
    visitor.wait_for_text("figure:nth-child(2) .frame-note", "no heatmaps")


def check_parts(visitor: Visitor, scores: list[dict[str, Any]]) -> None:
    """The table has a column per product whose parts are kept, and they add up to its score."""
    table = visitor.page.locator(".score-parts")
    names = ["Picture as a whole"]  # the tiny model has this part only, as nothing is said
    assert table.locator("tbody th").all_inner_texts() == names
    shown = [text.replace("\u2212", "-") for text in table.locator("td").all_inner_texts()]
    kept = [one for one in scores if one["terms"]]
    assert len(kept) == 3 and len(shown) == 3 * (len(names) + 1)
    parts = [sum(map(float, shown[column::3][:-1])) for column in range(3)]
    assert parts == pytest.approx([one["score"] for one in kept], abs=0.006 * len(names))
    assert shown[-3:] == [f"{one['score']:.2f}" for one in kept]
