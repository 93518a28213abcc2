"""Decodes the windows of a running stream into events."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np

from sgmn.errors import SgmnError
from sgmn.live.decoder import rank_alternatives
from sgmn.live.events import Event, EventKind
from sgmn.live.evidence import Scores, TimelineSettings, check_scores, compute_evidence
from sgmn.live.fixed_lag import (
    FixedLagSmoother,
    StateChange,
    StateRun,
    find_changes,
    match_changes,
)
from sgmn.live.presence import UNKNOWN, PresenceFilter
from sgmn.live.timeline import find_runner_up
from sgmn.records import Segment

MAX_ALTERNATIVES = 3


class EventDecoder:
    """The timeline of one shelf, decoded into events as the stream goes on.

    With a lag of 0 s nothing is corrected. With a lag as long as the stream the final segments
    are those of `timeline.decode_segments` over the same windows, but the confidence of an event
    is the one known at that time. Memory, and work per window, depend on the lag alone.

    Args:
        product_ids: The products of the shelf.
        settings: Timeline settings; the defaults if None.
        lag_s: Seconds after which a change is final.

    Raises:
        SettingsError: The lag is too short for `min_segment_s`.
    """

    def __init__(
        self,
        product_ids: Sequence[str],
        settings: TimelineSettings | None = None,
        lag_s: float = 6.0,
    ) -> None:
        self._product_ids = tuple(product_ids)
        self._states = (*self._product_ids, None)
        self._settings = settings or TimelineSettings()
        self._presence = PresenceFilter(self._settings)
        self._smoother = FixedLagSmoother(self._settings, lag_s)
        self._runs: tuple[StateRun, ...] = ()
        self._reported: dict[int, StateChange] = {}  # by event id, while it may be corrected
        self._event_count = 0
        self._now_s, self._end_s = -inf, 0.0
        self._wall_s: float | None = None
        self._has_ended = False

    @property
    def window_count(self) -> int:
        """Number of windows in memory: those whose product may still be corrected."""
        return self._smoother.window_count

    @property
    def final_s(self) -> float:
        """Seconds up to which nothing will be corrected any more."""
        return self._end_s if self._has_ended else min(self._smoother.open_s, self._end_s)

    @property
    def recent_segments(self) -> tuple[Segment, ...]:
        """The current segments from the one at `final_s` on; the last one may go on."""
        ends_s = [*(run.start_s for run in self._runs[1:]), self._end_s]
        return tuple(
            Segment(run.start_s, end_s, self._states[run.state], *self._rate(run))
            for run, end_s in zip(self._runs, ends_s, strict=False)
        )

    def push(
        self,
        time_s: float,
        scores: Scores,
        wall_s: float | None = None,
        saliency: float = UNKNOWN,
    ) -> tuple[Event, ...]:
        """Add one window and return its events: corrections first, then new changes.

        Args:
            time_s: Seconds into the stream, later than those of the previous window.
            scores: (S,) logits of the window.
            wall_s: Wall-clock time of the window for its events, in seconds since 1970.
            saliency: How salient its frames are; nan if that is not known.

        Raises:
            SgmnError: The time is negative or does not increase, the stream has ended, or the
                scores are invalid.
        """
        rows = np.asarray(scores, dtype=np.float64)[np.newaxis]
        check_scores(np.array([time_s]), rows, self._product_ids, np.array([saliency]))
        self._require(time_s > self._now_s and time_s >= 0, time_s, "push windows in order")
        presence = np.array([self._presence.push(saliency)])
        row = compute_evidence(rows, self._settings, presence)[0]
        self._now_s, self._end_s = float(time_s), float(time_s) + self._settings.hop_s / 2
        self._wall_s = wall_s
        return self._report_changes(self._smoother.push(self._now_s, row))

    def end(self, time_s: float, wall_s: float | None = None) -> tuple[Event, ...]:
        """End the stream at `time_s`, not before its last window, and return the last events.

        The very last event is "ended" at `time_s`, even if nothing was on sale. A stream without
        windows has no events.
        """
        is_in_order = self._now_s <= time_s < inf
        self._require(is_in_order, time_s, "end a stream once, after its last window")
        self._has_ended = True
        self._now_s = self._end_s = float(time_s)
        self._wall_s = wall_s
        if not self._runs:
            return ()
        return (*self._report_changes(self._smoother.end(self._now_s)), self._end_event())

    def _require(self, is_in_order: bool, time_s: float, remedy: str) -> None:
        if self._has_ended or not is_in_order:
            previous = "the end" if self._has_ended else f"{max(self._now_s, 0.0)} s"
            raise SgmnError(f"{time_s} s comes after {previous}", "events", remedy)

    def _report_changes(self, runs: tuple[StateRun, ...]) -> tuple[Event, ...]:
        """Return events for the differences between the reported and the current changes.

        Final changes cannot differ any more, so they are dropped.
        """
        self._runs, open_s = runs, self._smoother.open_s
        reported = {
            key: change for key, change in self._reported.items() if change.start_s >= open_s
        }
        current, new = match_changes(reported, find_changes(runs, open_s))
        events = [
            self._correction(event_id, change, current.get(event_id))
            for event_id, change in reported.items()
            if event_id not in current or not current[event_id].is_same_as(change)
        ]
        for change in new:
            events.append(self._event(self._kind_of(change), change.start_s, change))
            current[events[-1].id] = change
        self._reported = dict(sorted(current.items(), key=lambda pair: pair[1].start_s))
        return tuple(events)

    def _correction(
        self, event_id: int, reported: StateChange, current: StateChange | None
    ) -> Event:
        if current is not None:
            return self._event("corrected", current.start_s, current, event_id)
        # The change is void: the run that covers its time simply goes on.
        covering = next(run for run in reversed(self._runs) if run.start_s <= reported.start_s)
        void_change = StateChange(covering, covering)
        return self._event("corrected", reported.start_s, void_change, event_id)

    def _kind_of(self, change: StateChange) -> EventKind:
        if change.previous is None or self._states[change.previous.state] is None:
            return "started"
        return "ended" if self._states[change.run.state] is None else "changed"

    def _event(
        self, kind: EventKind, time_s: float, change: StateChange, corrects: int | None = None
    ) -> Event:
        run = change.run
        alternatives = rank_alternatives(
            run.log_probs, run.probabilities, run.state, MAX_ALTERNATIVES
        )
        return Event(
            **self._common_fields(time_s, change.previous),
            kind=kind,
            product_id=self._states[run.state],
            confidence=self._rate(run)[0],
            alternatives=tuple(
                (self._states[state], probability) for state, probability in alternatives
            ),
            corrects=corrects,
        )

    def _end_event(self) -> Event:
        """Return the event of the stream's end, which is certain."""
        common = self._common_fields(self._now_s, self._runs[-1])
        return Event(**common, kind="ended", product_id=None, confidence=1.0)

    def _common_fields(self, time_s: float, previous: StateRun | None) -> dict[str, Any]:
        """Return the fields that all kinds of events share, with the next id."""
        self._event_count += 1
        confidence, runner_up = (None, None) if previous is None else self._rate(previous)
        return {
            "id": self._event_count,
            "time_s": time_s,
            "found_s": self._now_s,
            "wall_s": self._wall_s,
            "before": None if previous is None else self._states[previous.state],
            "before_confidence": confidence,
            "before_runner_up": runner_up,
        }

    def _rate(self, run: StateRun) -> tuple[float, str | None]:
        """Return the confidence and the runner-up of a run, as `decode_segments` does."""
        confidence = min(1.0, float(run.probabilities[run.state]))
        return confidence, find_runner_up(run.state, run.log_probs, self._product_ids)
