"""Robustness tests: each condition changes what its name says, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sgmn.catalogue.index import Index
from sgmn.data import dataset
from sgmn.errors import SgmnError
from sgmn.evaluation.robustness_report import (
    BASELINE,
    IMAGES_ONLY,
    compute_figures,
    robustness_table,
)
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.records import Clip, ClipContent, Utterance
from sgmn.workflows import evaluation
from sgmn.workflows.robustness import RobustnessTest
from tests.command import RunCommand
from tests.workflows.indexing import clips_with_transcripts, create_index, ranked_clip


def test_baseline_equals_evaluation(world: Path, index: Index, embedder: Embedder) -> None:
    clips = clips_with_transcripts(world)
    answers = list(RobustnessTest(clips, index, embedder).rank_clips())
    expected = list(evaluation.rank_clips(clips, index, embedder))
    for answer, ranked in zip(answers, expected, strict=True):
        assert answer["as they are"].best == ranked.best
        assert answer["as they are"].scores == pytest.approx(ranked.scores, abs=1e-6)


def test_each_condition_changes_what_its_name_says(
    world: Path, index: Index, embedder: Embedder, tmp_path: Path
) -> None:
    clips = clips_with_transcripts(world)
    test = RobustnessTest(clips, index, embedder)
    answers = list(test.rank_clips())
    untitled = [replace(product, title="") for product in dataset.read_dataset(world).products]
    untitled_index = create_index(untitled, embedder, tmp_path / "untitled")

    def expected(changed: list[Clip], shop: Index = index) -> list[Any]:
        return [answer.scores for answer in evaluation.rank_clips(changed, shop, embedder)]

    def actual(name: str) -> list[Any]:
        return [pytest.approx(answer[name].scores, abs=1e-6) for answer in answers]

    silent = [replace(clip, transcript=()) for clip in clips]
    swapped = [
        replace(clip, transcript=(Utterance(0, 1, text),))
        for clip, text in zip(clips, test.swapped_texts, strict=True)
    ]
    assert expected(silent) == actual("transcript removed")
    assert expected(swapped) == actual("transcript of another clip")
    assert expected(clips, untitled_index) == actual("titles removed")
    assert expected(silent, untitled_index) == actual("images only (no transcript, no titles)")
    assert [text_scores(clip, index, embedder) for clip in clips] == actual("images removed")
    assert expected(clips) == actual("images of 64 px")  # these have 32
    for name in ("half of the frames", "low light", "JPEG quality 15"):
        assert expected(clips) != actual(name)


def text_scores(clip: Clip, index: Index, embedder: Embedder) -> tuple[float, ...]:
    """The scores of a clip without frames against its shelf, best first."""
    vectors = embedder.encode_clips([ClipContent((), clip.text)])
    scores = index.shelf().scores(vectors, embedder.ranker)[0]
    return tuple(scores.sort(descending=True).values.tolist())


def test_unreadable_clip_is_a_miss_under_every_condition(
    world: Path, index: Index, embedder: Embedder
) -> None:
    first, *others = clips_with_transcripts(world)
    test = RobustnessTest([replace(first, frames=(world / "gone.png",)), *others], index, embedder)
    answers = list(test.rank_clips())
    assert [ranked.rank for ranked in answers[0].values()] == [None] * 10
    assert len(answers) == 4 and answers[1]["images removed"].rank is not None
    assert len(test.damage) == 1 and "gone.png" in test.damage[0]


def test_no_clips_are_refused(index: Index, embedder: Embedder) -> None:
    with pytest.raises(SgmnError, match="has no labeled clip"):
        RobustnessTest([], index, embedder)


def test_differences_are_paired_and_signed() -> None:
    ranks = {BASELINE: [1, 1, 1, 2], "worse": [1, 3, 2, 9], IMAGES_ONLY: [2, 2, 2, 2]}
    answers = [
        {name: ranked_clip(f"c{place}", own[place]) for name, own in ranks.items()}
        for place in range(4)
    ]
    figures = compute_figures(answers, 0)
    worse = figures["worse"]
    assert worse.against_baseline["recall_1"].difference == pytest.approx(-0.5)
    assert worse.against_images_only["recall_1"].difference == pytest.approx(0.25)
    assert worse.estimates["recall_5"].value == 0.75
    assert worse.ranks == [1, 3, 2, 9]
    row = next(line for line in robustness_table(figures).splitlines() if "worse" in line)
    assert "| 25.0 (" in row and "| -50.0 (" in row and "| +25.0 (" in row


def test_command_prints_a_table_and_writes_json(
    run: RunCommand, world: Path, index: Index, embedder: Embedder, tmp_path: Path
) -> None:
    checkpoint.save(embedder.model, tmp_path / "model")
    report = tmp_path / "report.json"
    options = ("--index", index.path, "--model", tmp_path / "model", "--json", report)
    ended = run("robustness", world, *options)
    assert ended.status == 0, ended.err
    content = json.loads(report.read_text())
    assert content["clip_ids"] == ["c0", "c1", "c2", "c9"]
    assert len(content["conditions"]) == 10
    for name, row in content["conditions"].items():
        assert f"| {name} |" in ended.out
        assert len(row["ranks"]) == 4 and 0 <= row["estimates"]["mrr"]["value"] <= 1
