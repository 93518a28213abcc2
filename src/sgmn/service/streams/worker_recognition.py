"""The loop of a worker: each window is scored, journaled, decoded and reported."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import time
from typing import Any, NamedTuple

from sgmn.live.effort import is_sure
from sgmn.live.events import Event, to_json
from sgmn.live.timeline import Belief
from sgmn.live.windows import Window
from sgmn.media.live_transcript import LiveTranscript
from sgmn.service.streams.encoder_client import EncoderClient, StoppedError, StreamInfo
from sgmn.service.streams.journal import End, Gap, Header, JournalWriter, Record, WindowRecord
from sgmn.service.streams.resume import ResumePoint
from sgmn.service.streams.timeline import Replay, SessionTimeline
from sgmn.service.streams.worker_config import WorkerConfig
from sgmn.service.streams.worker_frames import SessionFrames

_MAX_CHOICES = 4  # of the belief: the best state and three runners-up
Report = Callable[..., None]  # (kind, **content)


class Recognition(NamedTuple):
    """A session that is being recognized.

    Attributes:
        config: The session.
        timeline: What has been recognized.
        journal: Receives each record before anything follows from it.
        encoder: Scores windows.
        report: Tells the service.
    """

    config: WorkerConfig
    timeline: SessionTimeline
    journal: JournalWriter
    encoder: EncoderClient
    report: Report

    def run(
        self,
        windows: Iterable[Window],
        frames: SessionFrames,
        utterances: LiveTranscript,
        resume: ResumePoint,
    ) -> None:
        """Recognize windows until they end, or the service stops the session; then end it."""
        try:
            for window in windows:
                utterances.discard_before(window.start_s)
                if window.center_s > resume.context_from_s:
                    self._score(window, frames, is_new=window.center_s > resume.done_s)
        except StoppedError:
            pass  # while the encoder was away; the session ends with what is known
        self.finish(frames.wall_s)

    def _score(self, window: Window, frames: SessionFrames, *, is_new: bool) -> None:
        scores = self.encoder.score(window)
        if not is_new:
            return  # it only influences later ones
        record = WindowRecord(
            center_s=window.center_s,
            end_s=window.end_s,
            wall_s=frames.wall_s,
            frame_s=frames.frame_s,
            frame_count=frames.count,
            logits=scores.logits,
            text=window.text,
            terms=scores.terms,
            saliency=scores.saliency,
        )
        belief = self._add(record)
        if belief is not None:
            frames.set_sure(is_sure(belief))

    def add_gap(self, gap: Gap) -> None:
        """Record and report a gap."""
        self._add(gap)
        report_gap(self.report, gap, self.config.logged_gaps + 1)

    def finish(self, wall_s: float) -> None:
        """End the stream where its last window ends."""
        self._add(End(self.timeline.end_s, wall_s))
        self.report("finished", end_s=self.timeline.end_s)

    def _add(self, record: Record) -> Belief | None:
        """Record something and report what follows; return what is on sale after a window."""
        self.journal.append(record)
        update = self.timeline.apply(record)
        report_events(self.report, update.events, self.config.last_event_id)
        if update.belief is not None and isinstance(record, WindowRecord):
            self.report("window", now=describe_belief(update.belief, self.timeline, record))
        return update.belief


def begin_timeline(
    replay: Replay | None, config: WorkerConfig, info: StreamInfo, journal: JournalWriter
) -> SessionTimeline:
    """Return the timeline of a journal, or begin one."""
    if replay is not None:
        return replay.timeline
    settings = {**info.timeline, **config.timeline}
    header = Header(config.session_id, info.product_ids, settings, config.lag_s)
    timeline = SessionTimeline(header)  # first, because it checks the settings
    journal.append(header)
    return timeline


def report_replay(report: Report, replay: Replay, config: WorkerConfig) -> None:
    """Report what the service may not know of a journal."""
    for number, gap in enumerate(replay.gaps, 1):
        if number > config.logged_gaps:
            report_gap(report, gap, number)
    report_events(report, replay.events, config.last_event_id)


def report_events(report: Report, events: Iterable[Event], last_id: int) -> None:
    """Report the events after `last_id`."""
    new = [to_json(event) for event in events if event.id > last_id]
    if new:
        report("events", events=new)


def report_gap(report: Report, gap: Gap, number: int) -> None:
    """Report the `number`-th gap of a session."""
    content = {name: getattr(gap, name) for name in Gap.__slots__}
    report("gap", number=number, gap=content)


def describe_belief(
    belief: Belief, timeline: SessionTimeline, record: WindowRecord
) -> dict[str, Any]:
    """Return what is on sale now as JSON types, with the states that may be instead."""
    product_ids = (*timeline.header.product_ids, None)
    order = (-belief.probabilities).argsort(kind="stable")[:_MAX_CHOICES]
    choices = [
        {"product_id": product_ids[state], "probability": float(belief.probabilities[state])}
        for state in order
    ]
    return {
        "time_s": belief.time_s,
        "product_id": belief.product_id,
        "confidence": belief.confidence,
        "choices": choices,
        "frame_s": record.frame_s,
        "wall_s": record.wall_s,
        "lag_s": max(0.0, time() - record.wall_s),
        "text": record.text,
    }
