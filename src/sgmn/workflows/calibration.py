"""Calibrate a model on labeled clips and streams that it was not trained on.

Fits, in this order and as far as the data allow: the weight and the floor of the score's text
term (clips with transcripts), the temperature of the logits (clips), and the timeline settings
(streams).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from sgmn.catalogue.index import Index
from sgmn.data.dataset import Stream
from sgmn.errors import SgmnError
from sgmn.evaluation.calibration import fit_temperature
from sgmn.evaluation.text_score import fit_text_score
from sgmn.live.evidence import TimelineSettings, timeline_settings
from sgmn.model import checkpoint
from sgmn.model.calibration import ScoreCalibration
from sgmn.model.embedder import Embedder
from sgmn.records import Clip
from sgmn.workflows.calibration_data import (
    ClipLogits,
    ClipReader,
    StreamWatcher,
    WatchedStream,
    pad_logits,
)
from sgmn.workflows.confidence import Measurement, measure
from sgmn.workflows.loading import ShelfCache
from sgmn.workflows.timeline_fit import fit_timeline

T = TypeVar("T")


def no_progress(items: Iterable[T], description: str, total: int) -> Iterable[T]:
    """Return the items; the default of `Calibrator.track`."""
    return items


@dataclass(frozen=True, slots=True)
class LabeledData:
    """The clips and streams of one dataset that have a truth."""

    clips: Sequence[Clip]
    streams: Sequence[Stream]


@dataclass(frozen=True, slots=True)
class CalibrationResult:
    """The fitted calibration, the figures before and after, and notes on what was not fitted."""

    calibration: Mapping[str, Any]
    before: Measurement
    after: Measurement
    notes: Sequence[str]


@dataclass
class Calibrator:
    """Fits and measures a calibration; all datasets count equally in the fits.

    `track` wraps what takes long; `damage` lists what cannot be read.
    """

    datasets: Sequence[LabeledData]
    index: Index
    embedder: Embedder
    track: Callable[..., Iterable[Any]] = no_progress
    damage: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.shelves = ShelfCache(self.index)

    def measure(self) -> Measurement:
        """Measure the model as it is."""
        clips, streams = self._read(self.embedder)
        return measure(_flat(clips), _flat(streams), timeline_settings(self.embedder.model))

    def calibrate(self) -> CalibrationResult:
        """Fit a calibration and measure the model without and with it."""
        clips, streams = self._read(self.embedder)
        settings = timeline_settings(self.embedder.model)
        before = measure(_flat(clips), _flat(streams), settings)
        score = self._fit_text_score(ScoreCalibration.of(self.embedder.model))
        if score != ScoreCalibration.of(self.embedder.model):
            clips, streams = self._read(self._with(score, settings))
        score, clips, streams = self._fit_temperature(score, clips, streams)
        settings = self._fit_timeline(streams, settings)
        after = measure(_flat(clips), _flat(streams), settings)
        return CalibrationResult(_tables(score, settings), before, after, self.notes)

    def _with(self, score: ScoreCalibration, settings: TimelineSettings) -> Embedder:
        """The embedder with another calibration; it shares the network."""
        model = replace(self.embedder.model, calibration=_tables(score, settings))
        return Embedder(model, str(self.embedder.network.device), self.embedder.batch_size)

    def _read(self, embedder: Embedder) -> tuple[list[list[ClipLogits]], list[list[WatchedStream]]]:
        """The logits of all clips, and all streams watched, per dataset."""
        self.damage.clear()
        reader = ClipReader(embedder, self.shelves, self.damage)
        watcher = StreamWatcher(embedder, self.shelves, self.damage)
        clips = [
            list(self.track(reader.compute_logits(data.clips), "ranking", len(data.clips)))
            for data in self.datasets
            if data.clips
        ]
        streams = [
            list(self.track(watcher.watch(data.streams), "watching", len(data.streams)))
            for data in self.datasets
            if data.streams
        ]
        return clips, [own for own in streams if own]

    def _fit_text_score(self, current: ScoreCalibration) -> ScoreCalibration:
        reader = ClipReader(self.embedder, self.shelves, [])
        try:
            trials = [
                list(self.track(reader.compute_trials(data.clips), "comparing transcripts", None))
                for data in self.datasets
            ]
        except SgmnError as error:
            self.notes.append(f"text score not fitted: {error}")
            return current
        trials = [own for own in trials if own]
        if not trials:
            self.notes.append("text score not fitted: no clip has a transcript")
            return current
        fit, _ = fit_text_score(trials, self.embedder.ranker.weights)
        return replace(current, text_weight=fit.text_weight, text_score_floor=fit.text_score_floor)

    def _fit_temperature(
        self,
        score: ScoreCalibration,
        clips: list[list[ClipLogits]],
        streams: list[list[WatchedStream]],
    ) -> tuple[ScoreCalibration, list[list[ClipLogits]], list[list[WatchedStream]]]:
        """The score with the temperature of the clips, and all logits divided by it."""
        logits, truths = pad_logits(_flat(clips))
        if not truths.size:
            self.notes.append("temperature not fitted: no clip has a product of the index")
            return score, clips, streams
        try:
            temperature = fit_temperature(logits, truths)
        except SgmnError as error:
            self.notes.append(f"temperature not fitted: {error}")
            return score, clips, streams
        return (
            replace(score, temperature=score.temperature * temperature),
            [[one.divided_by(temperature) for one in own] for own in clips],
            [[one.divided_by(temperature) for one in own] for own in streams],
        )

    def _fit_timeline(
        self, streams: list[list[WatchedStream]], settings: TimelineSettings
    ) -> TimelineSettings:
        if not streams:
            self.notes.append("timeline settings not fitted: there are no streams")
            return settings
        fit, _ = fit_timeline(streams, settings)
        return fit.settings


def _flat(datasets: Iterable[Iterable[T]]) -> list[T]:
    return [one for own in datasets for one in own]


def _tables(score: ScoreCalibration, settings: TimelineSettings) -> dict[str, Any]:
    """The calibration as tables of plain values, without what is None."""
    own = {name: value for name, value in asdict(score).items() if value is not None}
    return {"score": own, "timeline": asdict(settings)}


def store_calibration(
    embedder: Embedder, calibration: Mapping[str, Any], output: Path | None
) -> Path:
    """Write a calibrated copy of a model to `output`, or change its folder; returns the folder.

    Raises SgmnError if there is no `output` and the model is not a checkpoint folder of the user.
    """
    model = replace(embedder.model, calibration=calibration)
    if output is not None:
        checkpoint.save(model, output)
        return output
    folder = require_own_checkpoint(model.name)
    checkpoint.write_calibration(folder, calibration)
    return folder


def require_own_checkpoint(name: str) -> Path:
    """The folder of a checkpoint outside of the package; raises SgmnError."""
    folder = Path(name)
    is_packaged = folder.resolve().is_relative_to(checkpoint.BUILTIN.parent)
    if not checkpoint.is_checkpoint(folder) or is_packaged:
        raise SgmnError(
            "is not a checkpoint folder of your own, so it cannot be changed in place",
            name,
            "pass -o MODEL_FOLDER to write a calibrated copy",
        )
    return folder
