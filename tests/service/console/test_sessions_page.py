"""The list of sessions, and the form that starts one."""

from __future__ import annotations

from collections.abc import Callable

from tests.service.console.shop import ConsoleService
from tests.service.console.visitor import Visitor

Visit = Callable[..., Visitor]


def test_sessions_are_listed_by_state(visit: Visit, service: ConsoleService) -> None:
    visitor = visit("/console/sessions")
    running, ended = (f"[data-session={one}]" for one in (service.running, service.ended))
    visitor.wait_for_text(f"{running} .badge", "live")
    visitor.wait_for_text(f"{ended} .badge", "ended")
    assert "recorded" in visitor.text(ended) and "shop-a" in visitor.text(ended)
    visitor.page.get_by_role("link", name="Running", exact=True).click()
    visitor.page.locator("a[aria-current]", has_text="Running").wait_for()
    visitor.page.locator(running).wait_for()
    assert visitor.page.locator(ended).count() == 0
    visitor.page.get_by_role("link", name="Failed", exact=True).click()
    visitor.wait_for_text("main", "There are no sessions in this list.")


def test_a_session_is_started_stopped_and_deleted(visit: Visit, service: ConsoleService) -> None:
    visitor = visit("/console/sessions", may_fail=True)  # the first form is refused
    page = visitor.page
    page.get_by_role("button", name="New session").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Stream", exact=True).fill("missing.mp4")
    dialog.get_by_label("Transcript").select_option("subtitles")
    assert dialog.get_by_label("Address of the subtitles").is_visible()
    dialog.get_by_label("Transcript").select_option("utterances")
    dialog.get_by_label("Correction time").fill("2.5")
    dialog.get_by_label("Record the stream").check()
    dialog.get_by_label("in real time").check()
    assert dialog.get_by_label("only key frames").is_checked()
    dialog.get_by_label("only key frames").uncheck()
    visitor.press("Enter")
    dialog.get_by_role("alert").filter(has_text="is not a file in the media folder").wait_for()
    assert dialog.get_by_label("Stream", exact=True).get_attribute("aria-invalid") == "true"
    dialog.get_by_label("Stream", exact=True).fill("running.mp4")
    visitor.press("Enter")
    page.wait_for_url("**/console/live/ses_*")
    session = page.url.rpartition("/")[2]
    options = service.get(f"/v1/sessions/{session}")["options"]
    assert options["transcript"]["kind"] == "utterances" and options["lag_s"] == 2.5
    assert options["record"] and options["realtime"] and options["effort"] == "exact"

    visitor.open("/console/sessions")
    new = page.locator(f"[data-session={session}]")
    new.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    new.get_by_text("ended", exact=True).wait_for()
    new.get_by_role("button", name="Delete").click()
    visitor.press("Escape")
    assert new.count() == 1
    new.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    new.wait_for(state="detached")
    assert service.client.get(f"/v1/sessions/{session}").status_code == 404


def test_a_viewer_sees_sessions_and_changes_none(visit: Visit, service: ConsoleService) -> None:
    visitor = visit("/console/sessions", service.make_key("who looks", "viewer"), is_phone=True)
    page = visitor.page
    page.locator(f"[data-session={service.running}]").wait_for()
    assert page.get_by_role("button", name="New session").count() == 0
    assert page.get_by_role("button", name="Stop").count() == 0
    assert visitor.overflow() <= 0
