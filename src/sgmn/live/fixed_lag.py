"""A fixed-lag smoother: the best path of a running stream, of which only the end may change.

With each window the best path over the whole past is found anew and traced back through the
last `lag_s` seconds; what lies before keeps the state it had when it left the lag (Viterbi
with truncated survivors; Forney, 1973, "The Viterbi algorithm"). No evidence is lost at the
lag's edge: the totals of the past go on, only its states are fixed. So memory and work are
those of the lag's windows, and with a lag as long as the stream the path is exact.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SettingsError
from sgmn.live.decoder import LogProbs, smoothed, updated, viterbi
from sgmn.live.evidence import TimelineSettings

Chances = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """Windows in a row of one state; the next run begins where it ends.

    `logs` (K,) is the evidence of its `windows` together, not normalized, and `sums` (K,) that of
    each state's probability at them, given all windows up to the newest; for those that are
    final, up to the newest when they left the lag.
    """

    start_s: float
    state: int
    logs: LogProbs
    sums: Chances
    windows: int = 1

    @property
    def chances(self) -> Chances:
        """(K,) of the probability that a moment of it has a state: the mean over its windows."""
        return self.sums / self.windows

    def longer(self, logs: LogProbs, chances: Chances) -> Run:
        """The run with one more window."""
        return Run(
            self.start_s, self.state, self.logs + logs, self.sums + chances, self.windows + 1
        )


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """Where `run` begins and the run `before` it ends; None where the stream begins."""

    run: Run
    before: Run | None

    @property
    def start_s(self) -> float:
        """Seconds into the stream."""
        return self.run.start_s

    def equals(self, other: Turn) -> bool:
        """Whether it tells the same; short runs that go elsewhere may change what was before."""
        return _spot(self.run) == _spot(other.run) and _spot(self.before) == _spot(other.before)


def _spot(run: Run | None) -> tuple[float, int] | None:
    return None if run is None else (run.start_s, run.state)


class Smoother:
    """Rows of evidence to runs of states. A run that is final has its start before `open_s`.

    A window counts from half-way to the one before it, and is final once that lies more than
    `lag_s` seconds before the newest window. The newest is never final.
    Raises SettingsError for a lag below 0, or too short to see a run of `min_segment_s`.
    """

    def __init__(self, settings: TimelineSettings, lag_s: float) -> None:
        _check(settings, lag_s)
        self._settings, self._lag_s = settings, lag_s
        self._newest_s: float | None = None
        self._starts: list[float] = []  # of the open windows, as are rows, path and chances
        self._rows: list[LogProbs] = []
        self._path: list[int] = []
        self._chances: list[Chances] = []
        self._totals: LogProbs | None = None  # of the best paths to each state, final windows
        self._belief: LogProbs | None = None  # of each state at the last final window
        self._settled: Run | None = None  # the last final window's run, as far as it is final

    @property
    def windows(self) -> int:
        """How many windows are held: those that are not final."""
        return len(self._rows)

    @property
    def open_s(self) -> float:
        """Seconds from where on states may change; inf when all windows are final."""
        return self._starts[0] if self._starts else inf

    def push(self, time_s: float, row: LogProbs) -> tuple[Run, ...]:
        """Weigh one more window's evidence (K,), later than the one before it.

        Returns the runs from the last final window's on, without those that ended before.
        """
        half_s = self._settings.hop_s / 2
        before = self._newest_s
        start_s = max(0.0, time_s - half_s) if before is None else (before + time_s) / 2
        self._settle(time_s)
        self._newest_s = time_s
        self._starts.append(start_s)
        self._rows.append(row)
        return self._smoothed(time_s + half_s)

    def end(self, time_s: float) -> tuple[Run, ...]:
        """The runs when the stream ends at `time_s`, which may be long enough only now."""
        self._settle(time_s)
        return self._smoothed(time_s)

    def _settle(self, now_s: float) -> None:
        """Fix the states of the windows that leave the lag, and let go of them."""
        count = bisect_left(self._starts, now_s - self._lag_s)
        leaving = zip(self._starts[:count], self._path, self._rows, self._chances, strict=False)
        for start_s, state, row, chances in leaving:
            self._totals = self._reached(row)
            self._belief = updated(self._belief, row, self._settings.switch_cost)
            if self._settled is None or self._settled.state != state:
                self._settled = Run(start_s, state, row, chances)
            else:
                self._settled = self._settled.longer(row, chances)
        for held in (self._starts, self._rows, self._path, self._chances):
            del held[:count]

    def _reached(self, row: LogProbs) -> LogProbs:
        """(K,) totals of the best paths after one row more than the final windows'."""
        if self._totals is None:
            return row
        best: LogProbs = np.maximum(self._totals, self._totals.max() - self._settings.switch_cost)
        return best + row

    def _smoothed(self, end_s: float) -> tuple[Run, ...]:
        fixed = [] if self._settled is None else [self._settled]
        edges = np.array([*(run.start_s for run in fixed), *self._starts, end_s])
        rows = np.array([*(run.logs for run in fixed), *self._rows])
        path = np.array([*(run.state for run in fixed), *self._best()])
        path = _without_short(path, rows, edges, self._settings.min_segment_s, bool(fixed))
        self._path = [int(state) for state in path[len(fixed) :]]
        self._chances = self._believed()
        sums = np.array([*(run.sums for run in fixed), *self._chances])
        windows = [*(run.windows for run in fixed), *([1] * len(self._rows))]
        return tuple(
            Run(
                float(edges[first]),
                int(path[first]),
                rows[first:last].sum(axis=0),
                sums[first:last].sum(axis=0),
                sum(windows[first:last]),
            )
            for first, last in _spans(path)
        )

    def _believed(self) -> list[Chances]:
        """(K,) of each state's probability at each open window."""
        if not self._rows:
            return []
        rows, cost = np.array(self._rows), self._settings.switch_cost
        return list(np.exp(smoothed(rows, cost, self._belief)))

    def _best(self) -> NDArray[np.int64]:
        """(windows,) the open part of the best path over the whole past."""
        if not self._rows:
            return np.zeros(0, dtype=np.int64)
        rows = np.array([self._reached(self._rows[0]), *self._rows[1:]])
        return viterbi(rows, self._settings.switch_cost)


def turns(runs: Sequence[Run], from_s: float) -> list[Turn]:
    """Where the runs begin, from `from_s` on."""
    found = map(Turn, runs, [None, *runs[:-1]])
    return [turn for turn in found if turn.start_s >= from_s]


def paired(
    said: Mapping[int, Turn], found: Sequence[Turn]
) -> tuple[dict[int, Turn], tuple[Turn, ...]]:
    """What became of each turn that was said, by its id, and the turns found besides, in order.

    A turn became the one at its time, or else the next that was not said; or it is gone.
    """
    free = {turn.start_s: turn for turn in found}
    pairs = {key: free.pop(turn.start_s) for key, turn in said.items() if turn.start_s in free}
    wrong = [key for key in said if key not in pairs]
    pairs |= zip(wrong, free.values(), strict=False)
    return pairs, tuple(free.values())[len(wrong) :]


def _check(settings: TimelineSettings, lag_s: float) -> None:
    shortest_s = settings.min_segment_s
    needed_s = shortest_s + settings.hop_s if shortest_s else 0.0
    if not lag_s >= needed_s:
        raise SettingsError(
            f"lag_s is {lag_s}, and min_segment_s {shortest_s}",
            where="events",
            remedy=f"give a lag of {needed_s} s or more (min_segment_s and a hop)",
        )


def _without_short(
    path: NDArray[np.int64],
    rows: LogProbs,
    edges: NDArray[np.float64],
    min_segment_s: float,
    fixed: bool,
) -> NDArray[np.int64]:
    """As the timeline does it, but where the first run is `fixed` it has no neighbour's state."""
    path = path.copy()
    while len(spans := _spans(path)) > 1:
        lengths = [edges[last] - edges[first] for first, last in spans]
        if fixed:
            lengths[0] = inf
        shortest = int(np.argmin(lengths))
        if lengths[shortest] >= min_segment_s:
            break
        first, last = spans[shortest]
        neighbours = [path[i] for i in (first - 1, last) if 0 <= i < len(path)]
        path[first:last] = max(neighbours, key=lambda state: rows[first:last, state].sum())
    return path


def _spans(path: NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and one past the last place of each run of one state."""
    turns = np.flatnonzero(np.diff(path)) + 1
    return list(pairwise([0, *(int(turn) for turn in turns), len(path)]))
