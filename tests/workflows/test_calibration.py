"""`sgmn calibrate`: fitted to data, stored in the checkpoint, used by every command."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sgmn.catalogue.index import Index
from sgmn.data import dataset
from sgmn.data.dataset import clip_to_row, product_to_row, write_jsonl
from sgmn.errors import SgmnError
from sgmn.live.evidence import timeline_settings
from sgmn.live.recognizer import StreamRecognizer
from sgmn.model import checkpoint
from sgmn.model.calibration import ScoreCalibration
from sgmn.model.embedder import Embedder
from sgmn.workflows.calibration import (
    Calibrator,
    LabeledData,
    require_own_checkpoint,
    store_calibration,
)
from sgmn.workflows.calibration_data import ClipReader
from sgmn.workflows.loading import ShelfCache
from tests.command import RunCommand
from tests.workflows.indexing import clips_with_transcripts


@pytest.fixture
def labeled(world: Path, stream: Path) -> LabeledData:
    """Clips with transcripts, one of a product that no shop has, and a stream."""
    clips = clips_with_transcripts(world)
    clips[1] = replace(clips[1], product_ids=("p4",))  # so that not every answer is right
    return LabeledData(clips, dataset.read_dataset(stream).streams)


@pytest.fixture
def data_folder(world: Path, stream: Path, labeled: LabeledData, tmp_path: Path) -> Path:
    """The same data as a dataset on disk."""
    folder = tmp_path / "data"
    products = dataset.read_dataset(world).products
    write_jsonl(folder / "products.jsonl", [product_to_row(one, folder) for one in products])
    write_jsonl(folder / "clips.jsonl", [clip_to_row(clip, folder) for clip in labeled.clips])
    (folder / "streams").symlink_to(stream / "streams")
    return folder


def test_calibration_lowers_the_loss(
    index: Index, embedder: Embedder, labeled: LabeledData
) -> None:
    result = Calibrator([labeled], index, embedder).calibrate()
    before, after = result.before.predictions, result.after.predictions
    assert before["clips"].log_loss is not None and after["clips"].log_loss is not None
    assert after["clips"].log_loss <= before["clips"].log_loss + 1e-9
    assert {*result.calibration} == {"score", "timeline"}
    assert {*result.calibration["score"]} == {"temperature", "text_weight", "text_score_floor"}
    assert result.notes == []


def test_figures_after_are_those_of_the_calibrated_model(
    index: Index, embedder: Embedder, labeled: LabeledData
) -> None:
    result = Calibrator([labeled], index, embedder).calibrate()
    calibrated = Embedder(replace(embedder.model, calibration=result.calibration), "cpu")
    measured = Calibrator([labeled], index, calibrated).measure()
    for kind, predictions in result.after.predictions.items():
        confidences = measured.predictions[kind].confidences
        assert confidences == pytest.approx(predictions.confidences, abs=1e-5)
    assert measured.time_right == pytest.approx(result.after.time_right)


def test_recognizer_takes_the_settings_of_its_model(index: Index, embedder: Embedder) -> None:
    calibration = {"timeline": {"switch_cost": 1.5, "hop_s": 5.0}}
    calibrated = Embedder(replace(embedder.model, calibration=calibration), "cpu")
    recognizer = StreamRecognizer(calibrated, index.shelf())
    assert recognizer.settings.switch_cost == 1.5 and recognizer.settings.hop_s == 5.0
    assert recognizer.settings.window_s == 10.0  # a default
    override = timeline_settings(calibrated.model, {"hop_s": 2.0})
    assert override.hop_s == 2.0 and override.switch_cost == 1.5
    assert StreamRecognizer(calibrated, index.shelf(), override).settings == override


def test_what_the_data_lack_is_not_fitted(
    index: Index, embedder: Embedder, labeled: LabeledData
) -> None:
    silent = [replace(clip, transcript=()) for clip in labeled.clips]
    result = Calibrator([LabeledData(silent, [])], index, embedder).calibrate()
    assert {*result.calibration["score"]} == {"temperature"}
    assert timeline_settings(embedder.model) == timeline_settings(
        replace(embedder.model, calibration=result.calibration)
    )
    assert "no clip has a transcript" in result.notes[0]
    assert "there are no streams" in result.notes[-1]
    streams_only = Calibrator([LabeledData([], labeled.streams)], index, embedder).calibrate()
    assert streams_only.calibration["score"] == {"temperature": 1.0}
    assert "no clip has a product of the index" in streams_only.notes[1]


def test_clips_of_one_product_fit_no_text_score(
    index: Index, embedder: Embedder, labeled: LabeledData
) -> None:
    clips = [replace(clip, product_ids=("p0",)) for clip in labeled.clips]
    result = Calibrator([LabeledData(clips, [])], index, embedder).calibrate()
    assert "all clips sell the same product" in result.notes[0]
    assert "text_weight" not in result.calibration["score"]


def test_trials_are_read_for_clips_that_can_be(
    world: Path, index: Index, embedder: Embedder, labeled: LabeledData
) -> None:
    broken = replace(labeled.clips[0], frames=(world / "gone.png",))
    reader = ClipReader(embedder, ShelfCache(index), [])
    trials = list(reader.compute_trials([broken, *labeled.clips[1:]]))
    assert sum(len(trial.truth) for trial in trials) == 2  # one is broken, one of no shop
    assert trials[0].truth.tolist() == [4, 2]
    assert len(reader.damage) == 1 and "gone.png" in reader.damage[0]
    assert len(list(reader.compute_logits([broken, *labeled.clips[1:]]))) == 3


def test_built_in_models_are_not_changed_in_place(embedder: Embedder, tmp_path: Path) -> None:
    for name in ("builtin", "small", str(checkpoint.BUILTIN), str(tmp_path)):
        with pytest.raises(SgmnError, match="pass -o MODEL_FOLDER"):
            require_own_checkpoint(name)
    checkpoint.save(embedder.model, tmp_path / "model")
    assert require_own_checkpoint(str(tmp_path / "model")) == tmp_path / "model"


def test_calibration_is_stored_in_a_copy_or_in_place(embedder: Embedder, tmp_path: Path) -> None:
    tables: dict[str, Any] = {"score": {"temperature": 2.0}}
    checkpoint.save(embedder.model, tmp_path / "own")
    own = Embedder(checkpoint.load(tmp_path / "own"), "cpu")
    assert store_calibration(own, tables, tmp_path / "copy") == tmp_path / "copy"
    assert checkpoint.load(tmp_path / "own").calibration == {}
    assert store_calibration(own, tables, None) == tmp_path / "own"
    for name in ("own", "copy"):
        loaded = checkpoint.load(tmp_path / name)
        assert ScoreCalibration.of(loaded).temperature == 2.0
        assert loaded.fingerprint() == own.model.fingerprint()


def test_command_calibrates_a_model_in_place(
    run: RunCommand, index: Index, embedder: Embedder, data_folder: Path, tmp_path: Path
) -> None:
    model, plot = tmp_path / "model", tmp_path / "plot.png"
    checkpoint.save(embedder.model, model)
    options = ("--index", index.path, "--model", model)
    ended = run("calibrate", data_folder, *options, "--plot", plot)
    assert ended.status == 0, ended.err
    assert "| clips | before |" in ended.out and "| segments | after |" in ended.out
    assert "time correct, before: " in ended.out and f"stored in {model}" in ended.out
    assert plot.read_bytes().startswith(b"\x89PNG")
    stored = json.loads((model / "config.json").read_text())["calibration"]
    assert {*stored} == {"score", "timeline"}
    ended = run("calibrate", data_folder, *options, "--check")
    assert ended.status == 0 and "| clips | now |" in ended.out and "stored" not in ended.out
    assert json.loads((model / "config.json").read_text())["calibration"] == stored
    ended = run("evaluate", data_folder, *options)  # the index still belongs to the model
    assert ended.status == 0, ended.err


def test_command_writes_a_calibrated_copy(
    run: RunCommand, index: Index, embedder: Embedder, data_folder: Path, tmp_path: Path
) -> None:
    model, copy = tmp_path / "model", tmp_path / "copy"
    checkpoint.save(embedder.model, model)
    ended = run("calibrate", data_folder, "-i", index.path, "-m", model, "-o", copy)
    assert ended.status == 0 and f"use it with --model {copy}" in ended.out
    assert checkpoint.load(model).calibration == {} != checkpoint.load(copy).calibration


def test_command_refuses_an_unknown_plot_format(
    run: RunCommand, index: Index, data_folder: Path
) -> None:
    ended = run("calibrate", data_folder, "--index", index.path, "--plot", "plot.pdf")
    assert ended.status == 2 and "pass a .svg or .png file" in ended.err


def test_progress_is_reported(index: Index, embedder: Embedder, labeled: LabeledData) -> None:
    described = []

    def track(items: Iterable[Any], description: str, total: int | None) -> Iterable[Any]:
        described.append((description, total))
        return items

    Calibrator([labeled], index, embedder, track).measure()
    assert described == [("ranking", 4), ("watching", 1)]


def test_watch_uses_the_model_settings_unless_overridden(
    run: RunCommand, index: Index, embedder: Embedder, stream: Path, tmp_path: Path
) -> None:
    """One segment without switches, and many with free ones."""
    model = replace(embedder.model, calibration={"timeline": {"switch_cost": 1e6}})
    checkpoint.save(model, tmp_path / "model")
    free = tmp_path / "free.toml"
    free.write_text("switch_cost = 0\nnothing_threshold = 0.0\n")
    misspelled = tmp_path / "misspelled.toml"
    misspelled.write_text("switch_costs = 0\n")

    def watch(*options: object) -> Any:
        video, output = stream / "streams" / "s.mp4", tmp_path / "timeline.json"
        words = ("-i", index.path, "-m", tmp_path / "model", "-o", output)
        ended = run("watch", video, "-t", stream / "streams" / "s.json", *words, *options)
        return ended, output

    ended, output = watch()
    assert ended.status == 0, ended.err
    assert len(json.loads(output.read_text())["segments"]) == 1
    ended, output = watch("--timeline", free)
    assert ended.status == 0, ended.err
    assert len(json.loads(output.read_text())["segments"]) > 1
    ended, _ = watch("--timeline", misspelled)
    assert ended.status == 2
    assert "misspelled.toml: unknown key 'switch_costs'; did you mean 'switch_cost'" in ended.err
