"""`tools/live_speech.py`: the delays that it reports."""

from __future__ import annotations

from typing import Any

from tests.tools.scripts import import_tool

live_speech = import_tool("live_speech")

CHANGES: list[dict[str, Any]] = [
    {"product_id": "a", "start": 2.0, "end": 20.0},
    {"product_id": "b", "start": 20.0, "end": 40.0},
]


def arrival(product_id: str | None, time_s: float, wall_s: float, kind: str = "started") -> Any:
    event = {"product_id": product_id, "time_s": time_s, "wall_s": wall_s - 1, "kind": kind}
    return live_speech.Arrival(event, wall_s)


def test_a_delay_runs_from_the_change_to_the_line_of_its_first_event() -> None:
    arrivals = [
        arrival("a", 3.0, 1012.0),
        arrival("a", 3.0, 1014.0, "corrected"),
        arrival("b", 12.0, 1021.0),  # b is not on sale yet
        arrival("b", 18.0, 1027.0),
        arrival("c", 30.0, 1039.0),
    ]
    assert live_speech.find_delays_s(CHANGES, arrivals, 1000.0) == [10.0, 7.0]
    assert live_speech.find_delays_s(CHANGES, arrivals[4:], 1000.0) == []


def test_the_stream_begins_when_its_first_frame_was_sent() -> None:
    end = arrival(None, 40.0, 1045.0, "ended")
    sent = [(0.0, 1000.5), (1.0, 1001.5), (2.0, 1004.0)]
    assert live_speech.find_origin_s([end], sent) == 1000.5
    assert live_speech.find_origin_s([end], []) == 1004.0
