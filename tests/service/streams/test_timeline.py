"""Replaying a journal: the same events whenever, and no event that stays open."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sgmn.live.events import Event, segments_from_events
from sgmn.live.evidence import TimelineSettings
from sgmn.live.timeline import OnlineDecoder
from sgmn.service.streams.journal import End, Header, JournalWriter, Record, WindowRecord
from sgmn.service.streams.timeline import (
    SessionTimeline,
    end_journal,
    replay_journal,
    replay_records,
)

HEADER = Header(
    "ses_1", ("a", "b", "c"), {"nothing_threshold": 0.0, "switch_cost": 1.0, "window_s": 4.0}, 6.0
)
LOGITS = st.lists(
    st.lists(st.floats(-20, 20, width=32), min_size=3, max_size=3), min_size=1, max_size=40
)


def windows(logits: list[list[float]]) -> list[WindowRecord]:
    return [
        WindowRecord(1.0 + 2 * n, 3.0 + 2 * n, 1e9 + n, 2.5 + 2 * n, n, np.array(row, np.float32))
        for n, row in enumerate(logits)
    ]


def events_as_it_happens(records: list[Record]) -> list[Event]:
    timeline = SessionTimeline(HEADER)
    return [event for record in records for event in timeline.apply(record).events]


@given(logits=LOGITS, cut=st.integers(0, 40))
def test_a_replay_at_any_moment_continues_with_the_same_events(
    logits: list[list[float]], cut: int
) -> None:
    records: list[Record] = [*windows(logits), End(1e4, 2e9)]
    expected = events_as_it_happens(records)
    replay = replay_records([HEADER, *records[:cut]])
    assert replay is not None
    later = [event for record in records[cut:] for event in replay.timeline.apply(record).events]
    assert [*replay.events, *later] == expected
    assert [event.id for event in expected] == list(range(1, len(expected) + 1))


def test_saliency_counts_as_in_a_recording() -> None:
    settings = {**HEADER.timeline, "nothing_threshold": 0.2, "presence_weight": 4.0}
    records = [
        replace(record, saliency=-9.0 if 10 <= number < 20 else 0.0)
        for number, record in enumerate(windows([[3.0, 0.0, 0.0]] * 30))
    ]
    replay = replay_records([replace(HEADER, timeline=settings), *records, End(61.0, 2e9)])
    assert replay is not None
    assert [s.product_id for s in segments_from_events(replay.events)] == ["a", None, "a"]
    without = events_as_it_happens([*records, End(61.0, 2e9)])  # a header without a weight
    assert [s.product_id for s in segments_from_events(without)] == ["a"]
    decoder, belief = OnlineDecoder(HEADER.product_ids, TimelineSettings(**settings)), None
    for record in records:
        belief = decoder.push(record.center_s, record.logits, record.saliency)
    assert belief is not None and replay.belief is not None
    np.testing.assert_array_equal(replay.belief.probabilities, belief.probabilities)


def test_ending_a_journal_closes_its_last_event_once(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with JournalWriter(path) as journal:
        journal.append(HEADER)
        for record in windows([[9.0, 0.0, 0.0]] * 5 + [[0.0, 9.0, 0.0]] * 5):
            journal.append(record)
    replay = end_journal(path, 5e9)
    assert replay is not None and replay.timeline.ended
    last = replay.events[-1]
    assert (last.kind, last.time_s, last.wall_s) == ("ended", 21.0, 5e9)
    assert [s.product_id for s in segments_from_events(replay.events)] == ["a", "b"]
    again = end_journal(path, 6e9)
    assert again is not None and again.events == replay.events


def test_a_journal_without_windows_has_no_events(tmp_path: Path) -> None:
    assert end_journal(tmp_path / "journal", 0.0) is None
    with JournalWriter(tmp_path / "journal") as journal:
        journal.append(HEADER)
    replay = end_journal(tmp_path / "journal", 0.0)
    assert replay is not None and replay.timeline.ended and not replay.events
    assert replay_journal(tmp_path / "journal") is not None
