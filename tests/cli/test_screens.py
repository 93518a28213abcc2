"""The live displays of `sgmn watch`."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from sgmn.cli.screens import LiveScreen, RecordingScreen
from sgmn.live.events import Event
from sgmn.live.session import WindowUpdate
from sgmn.live.timeline import Belief
from sgmn.media.live_source import LiveSource

NO_PROBABILITIES = np.zeros(0)


def test_a_live_screen_shows_connection_product_and_events() -> None:
    source = LiveSource("rtmp://shop.example/live/s3cret")
    screen = LiveScreen({"p0": "red [b]milk"}, source)
    before = _render(screen)
    screen.show_window(WindowUpdate(Belief(9.0, "p0", 0.75, None, NO_PROBABILITIES), 0.0, 12))
    for number in range(1, 8):
        screen.show_event(Event(number, "started", 60.0 + number, 70.0, "p0", None, 0.5))
    after = _render(screen)
    assert "connecting" in before and "no window yet" in before and "s3cret" not in before
    assert "0:09  red [b]milk  75%" in after and "s behind" in after
    assert "1:03" in after and "1:07" in after and "1:02" not in after  # the last five


def test_a_recording_screen_shows_windows_and_progress() -> None:
    screen = RecordingScreen({"p0": "red [b]milk"}, 60.0)
    screen(Belief(9.0, "p0", 0.75, "p1", NO_PROBABILITIES))
    screen(Belief(11.0, None, 0.5, None, NO_PROBABILITIES))
    text = _render(screen)
    assert "red [b]milk" in text and "75%" in text and "p1" in text
    assert "nothing on sale" in text and "0:11 of 1:00" in text


def _render(screen: object) -> str:
    console = Console(width=100, record=True)
    console.print(screen)
    return console.export_text()
