"""A fixed-lag smoother: the best path of a running stream, of which only the end may change.

With each window the best path over the whole past is decoded again and traced back through the
last `lag_s` seconds. A window older than that keeps the state that it had when it left the lag
(Viterbi with truncated survivors; Forney, 1973, "The Viterbi algorithm"). No evidence is lost at
the edge of the lag: the path totals of the past are carried on, only its states are fixed. So
memory and work depend on the lag alone, and with a lag as long as the stream the path is exact.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SettingsError
from sgmn.live.decoder import LogProbs, Probabilities, smooth, update_belief, viterbi
from sgmn.live.evidence import TimelineSettings
from sgmn.live.state_runs import find_runs, merge_short_runs


@dataclass(frozen=True, slots=True, eq=False)
class StateRun:
    """Consecutive windows with the same state; the next run begins where this one ends.

    Attributes:
        start_s: Start, in seconds into the stream.
        state: Index of the state.
        log_probs: (K,) summed evidence of the windows, not normalized.
        probability_sums: (K,) summed probabilities of each state at the windows. They are given
            all windows up to the newest one, or up to the newest one at the time when the window
            left the lag.
        window_count: Number of windows.
    """

    start_s: float
    state: int
    log_probs: LogProbs
    probability_sums: Probabilities
    window_count: int = 1

    @property
    def probabilities(self) -> Probabilities:
        """(K,) probability of each state at a moment of the run: the mean over its windows."""
        return self.probability_sums / self.window_count

    def with_window(self, log_probs: LogProbs, probabilities: Probabilities) -> StateRun:
        """Return the run extended by one window."""
        return StateRun(
            self.start_s,
            self.state,
            self.log_probs + log_probs,
            self.probability_sums + probabilities,
            self.window_count + 1,
        )


@dataclass(frozen=True, slots=True, eq=False)
class StateChange:
    """The moment at which `run` begins and `previous` ends.

    `previous` is None at the beginning of the stream.
    """

    run: StateRun
    previous: StateRun | None

    @property
    def start_s(self) -> float:
        """Seconds into the stream."""
        return self.run.start_s

    def is_same_as(self, other: StateChange) -> bool:
        """Whether both runs have the same start and state as those of `other`."""
        # The previous run counts too: merging a short run can change it.
        return _identity(self.run) == _identity(other.run) and _identity(
            self.previous
        ) == _identity(other.previous)


def _identity(run: StateRun | None) -> tuple[float, int] | None:
    return None if run is None else (run.start_s, run.state)


class FixedLagSmoother:
    """Turns rows of evidence into runs of states. A run that is final starts before `open_s`.

    A window counts from half-way to the previous window. It is final once that moment is more
    than `lag_s` seconds before the newest window. The newest window is never final.

    Raises:
        SettingsError: The lag is negative, or too short for a run of `min_segment_s`.
    """

    def __init__(self, settings: TimelineSettings, lag_s: float) -> None:
        _check_lag(settings, lag_s)
        self._settings, self._lag_s = settings, lag_s
        self._newest_s: float | None = None
        # One entry per open window in each of these four lists.
        self._starts_s: list[float] = []
        self._rows: list[LogProbs] = []
        self._path: list[int] = []
        self._probabilities: list[Probabilities] = []
        # The state of the decoder at the last final window.
        self._path_totals: LogProbs | None = None
        self._belief: LogProbs | None = None
        self._final_run: StateRun | None = None

    @property
    def window_count(self) -> int:
        """Number of windows in memory: those that are not final."""
        return len(self._rows)

    @property
    def open_s(self) -> float:
        """Seconds from which states may still change; inf if all windows are final."""
        return self._starts_s[0] if self._starts_s else inf

    def push(self, time_s: float, row: LogProbs) -> tuple[StateRun, ...]:
        """Add the evidence (K,) of one window, later than the previous one.

        Returns the runs from the one of the last final window on.
        """
        half_hop_s = self._settings.hop_s / 2
        previous_s = self._newest_s
        start_s = max(0.0, time_s - half_hop_s) if previous_s is None else (previous_s + time_s) / 2
        self._finalize_windows(time_s)
        self._newest_s = time_s
        self._starts_s.append(start_s)
        self._rows.append(row)
        return self._decode_runs(time_s + half_hop_s)

    def end(self, time_s: float) -> tuple[StateRun, ...]:
        """Return the runs of a stream that ends at `time_s`.

        The last run may become long enough for `min_segment_s` only now.
        """
        self._finalize_windows(time_s)
        return self._decode_runs(time_s)

    def _finalize_windows(self, now_s: float) -> None:
        """Fix the states of the windows that leave the lag, and drop those windows."""
        count = bisect_left(self._starts_s, now_s - self._lag_s)
        leaving = zip(
            self._starts_s[:count], self._path, self._rows, self._probabilities, strict=False
        )
        for start_s, state, row, probabilities in leaving:
            self._path_totals = self._add_to_path_totals(row)
            self._belief = update_belief(self._belief, row, self._settings.switch_cost)
            if self._final_run is None or self._final_run.state != state:
                self._final_run = StateRun(start_s, state, row, probabilities)
            else:
                self._final_run = self._final_run.with_window(row, probabilities)
        for values in (self._starts_s, self._rows, self._path, self._probabilities):
            del values[:count]

    def _add_to_path_totals(self, row: LogProbs) -> LogProbs:
        """Return the totals (K,) of the best paths to each state, extended by one row."""
        if self._path_totals is None:
            return row
        switch_total = self._path_totals.max() - self._settings.switch_cost
        best: LogProbs = np.maximum(self._path_totals, switch_total)
        return best + row

    def _decode_runs(self, end_s: float) -> tuple[StateRun, ...]:
        """Return the final run, if there is one, and the runs of the open windows up to `end_s`."""
        final_runs = [] if self._final_run is None else [self._final_run]
        edges_s = np.array([*(run.start_s for run in final_runs), *self._starts_s, end_s])
        rows = np.array([*(run.log_probs for run in final_runs), *self._rows])
        path = np.array([*(run.state for run in final_runs), *self._best_open_path()])
        min_segment_s = self._settings.min_segment_s
        path = merge_short_runs(path, rows, edges_s, min_segment_s, bool(final_runs))
        self._path = [int(state) for state in path[len(final_runs) :]]
        self._probabilities = self._smooth_open_windows()
        sums = np.array([*(run.probability_sums for run in final_runs), *self._probabilities])
        counts = [*(run.window_count for run in final_runs), *([1] * len(self._rows))]
        return tuple(
            StateRun(
                float(edges_s[start]),
                int(path[start]),
                rows[start:stop].sum(axis=0),
                sums[start:stop].sum(axis=0),
                sum(counts[start:stop]),
            )
            for start, stop in find_runs(path)
        )

    def _smooth_open_windows(self) -> list[Probabilities]:
        """Return the probabilities (K,) of the states at each open window."""
        if not self._rows:
            return []
        rows, switch_cost = np.array(self._rows), self._settings.switch_cost
        return list(np.exp(smooth(rows, switch_cost, self._belief)))

    def _best_open_path(self) -> NDArray[np.int64]:
        """Return the states (W,) of the open windows on the best path over the whole past."""
        if not self._rows:
            return np.zeros(0, dtype=np.int64)
        rows = np.array([self._add_to_path_totals(self._rows[0]), *self._rows[1:]])
        return viterbi(rows, self._settings.switch_cost)


def find_changes(runs: Sequence[StateRun], from_s: float) -> list[StateChange]:
    """Return the changes at the starts of the runs, from `from_s` on."""
    changes = map(StateChange, runs, [None, *runs[:-1]])
    return [change for change in changes if change.start_s >= from_s]


def match_changes(
    reported: Mapping[int, StateChange], current: Sequence[StateChange]
) -> tuple[dict[int, StateChange], tuple[StateChange, ...]]:
    """Match reported changes with the current ones.

    A reported change matches the current one at the same time, else the next one that has no
    match yet. A reported change without a match is gone.

    Returns:
        The current change for each matched id, and the current changes without a match, in order.
    """
    unmatched = {change.start_s: change for change in current}
    matches = {
        event_id: unmatched.pop(change.start_s)
        for event_id, change in reported.items()
        if change.start_s in unmatched
    }
    moved_ids = [event_id for event_id in reported if event_id not in matches]
    matches |= zip(moved_ids, unmatched.values(), strict=False)
    return matches, tuple(unmatched.values())[len(moved_ids) :]


def _check_lag(settings: TimelineSettings, lag_s: float) -> None:
    shortest_s = settings.min_segment_s
    required_s = shortest_s + settings.hop_s if shortest_s else 0.0
    if not lag_s >= required_s:
        raise SettingsError(
            f"lag_s is {lag_s}, but min_segment_s is {shortest_s}",
            where="events",
            remedy=f"pass a lag of {required_s} s or more (min_segment_s plus one hop)",
        )
