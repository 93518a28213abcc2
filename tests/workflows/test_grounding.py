"""Grounding of an index on labeled clips, through the workflow and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sgmn.catalogue.index import Index
from sgmn.data import dataset
from sgmn.data.dataset import clip_to_row
from sgmn.errors import SgmnError
from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.model.guidance import GuidanceOutput
from sgmn.model.scoring import ClipVectors
from sgmn.model.tokens import ItemTokens
from sgmn.records import Clip, Utterance
from sgmn.workflows.evaluation import rank_clips
from sgmn.workflows.grounding import choose_other_transcripts, measure_grounding
from tests.command import RunCommand
from tests.training.painting import guided
from tests.workflows.indexing import TRANSCRIPTS, clips_with_transcripts, create_index

LEFT_HALF = (0.0, 0.0, 0.5, 1.0)
FIGURES = {"alpha_in_box", "alpha_area", "alpha_lift", "pointing", "omega_auc", "frames", "clips"}


@pytest.fixture
def guided_index(world: Path, tiny: Callable[[], Any], tmp_path: Path) -> Index:
    """An index of a model with guidance."""
    embedder = Embedder(guided(tiny()), "cpu")
    return create_index(dataset.read_dataset(world).products, embedder, tmp_path / "index")


@pytest.fixture
def unguided_index(world: Path, tiny: Callable[[], Any], tmp_path: Path) -> Index:
    """An index of a model that uses patches, but has no guidance."""
    model = tiny()
    parts = replace(model.network.config.parts, enabled=("graph",))
    network = model.network.with_parts(parts, ("text",))
    embedder = Embedder(ModelBundle(network, model.tokenizer, model.name), "cpu")
    return create_index(dataset.read_dataset(world).products, embedder, tmp_path / "index")


def boxed_clips(world: Path) -> list[Clip]:
    """Three clips whose first two frames show their product in the left half."""
    boxes = ((LEFT_HALF,), (LEFT_HALF,), (), ())
    return [replace(clip, boxes=boxes) for clip in clips_with_transcripts(world)[:3]]


def test_uniform_attention_has_a_lift_of_one(world: Path, unguided_index: Index) -> None:
    """Half of the patches lie in the left half."""
    report = measure_grounding(boxed_clips(world), unguided_index)
    for summary in (report.own, report.other, report.none):
        assert summary.alpha_in_box == pytest.approx(0.5, abs=1e-5)
        assert summary.alpha_lift == pytest.approx(1, abs=1e-4) and summary.alpha_area == 0.5
        assert summary.omega_auc == 0.5 and (summary.frames, summary.clips) == (6, 3)
    assert report.deaf.difference == 0


def test_figures_follow_what_guidance_attends_to(world: Path, guided_index: Index) -> None:
    """A localizer that scores the left half of the canvas higher, whatever is said."""
    guidance: Any = guided_index.embedder.network.parts.guidance["clips"]
    with torch.no_grad():
        guidance.localizer.position.weight.zero_()
        guidance.localizer.position.weight[:, 0] = 3 * torch.linspace(-1, 1, 128)
        guidance.localizer.patch.weight.zero_()
        guidance.localizer.frame.weight.zero_()
        guidance.localizer.patch_score[-1].weight.copy_(torch.linspace(-1, 1, 128)[None])
    before = measure_grounding(boxed_clips(world), guided_index)
    with torch.no_grad():
        guidance.localizer.patch_score[-1].weight.neg_()
    after = measure_grounding(boxed_clips(world), guided_index)
    shares = before.none.alpha_in_box, after.none.alpha_in_box
    assert shares[0] is not None and shares[1] is not None
    assert abs(shares[0] - shares[1]) > 0.2


def test_only_guidance_hears_the_other_words(
    monkeypatch: pytest.MonkeyPatch, world: Path, guided_index: Index
) -> None:
    """The rest of the model keeps the clip's own transcript."""
    parts, has_text, changed = guided_index.embedder.network.parts, [], []
    encode = parts.encode_guided_clips

    def record(tokens: ItemTokens, guidance: GuidanceOutput) -> ClipVectors:
        has_text.append(tokens.has_text.any().item())
        own = parts.guide(tokens, "clips")
        changed.append(not torch.equal(guidance.patch_weights, own.patch_weights))
        return encode(tokens, guidance)

    monkeypatch.setattr(parts, "encode_guided_clips", record)
    with torch.no_grad():  # untrained guidance points where words and patches agree
        measure_grounding(boxed_clips(world), guided_index)
    assert has_text == [True] * 3
    assert changed == [False, True, True]  # its own words; another product's; none


def test_titles_count_unless_they_are_ignored(world: Path, unguided_index: Index) -> None:
    """A transcript that is another product's title wins if text has the weight of a hundred."""
    embedder = unguided_index.embedder
    with torch.no_grad():
        embedder.network.head.text.fill_(100.0)
    titles = {product.product_id: product.title for product in unguided_index.products()}
    clips = []
    for clip in boxed_clips(world):
        other = next(title for name, title in titles.items() if name not in clip.product_ids)
        clips.append(replace(clip, transcript=(Utterance(0, 1, other),)))
    hits = {}
    for without_titles in (False, True):
        ranked = rank_clips(clips, unguided_index, embedder, without_titles=without_titles)
        hits[without_titles] = np.mean([answer.rank == 1 for answer in ranked])
        report = measure_grounding(clips, unguided_index, without_titles=without_titles)
        assert report.deaf.a == hits[without_titles]
    image_only = rank_clips(clips, unguided_index, embedder, ("image",))
    assert hits[True] == np.mean([answer.rank == 1 for answer in image_only])
    assert hits[False] == 0 < hits[True]


def test_a_visible_span_decides_about_frames(world: Path, guided_index: Index) -> None:
    """Frames of clips on disk lie a second apart; without boxes, α has no figures."""
    clips = [
        replace(clip, extra={"visible_span": [1.0, 2.0]})
        for clip in clips_with_transcripts(world)[:3]
    ]
    own = measure_grounding(clips, guided_index).own
    assert own.alpha_in_box is None and own.frames == 0
    assert own.omega_auc is not None and own.clips == 3


def test_a_model_without_patches_is_refused(world: Path, index: Index) -> None:
    with pytest.raises(SgmnError, match="no attention over patches; use a model with guidance"):
        measure_grounding(boxed_clips(world), index)


def test_clips_without_labels_are_refused(world: Path, index: Index) -> None:
    with pytest.raises(SgmnError, match="no clip has 'boxes' or 'visible_span'"):
        measure_grounding(clips_with_transcripts(world), index)


def test_the_other_transcript_is_about_a_product_that_the_clip_shows(world: Path) -> None:
    clips = clips_with_transcripts(world)[:3]
    shown = {"shown": [{"time": 0.0, "boxes": {"p0": LEFT_HALF, "p2": LEFT_HALF}}]}
    held = {"held_instead": [["p1", [0.0, 1.0]]]}
    first, second, third = (
        replace(clips[0], extra=shown),
        replace(clips[1], extra={"shown": [{"time": 0.0, "boxes": {"nobody": LEFT_HALF}}]}),
        replace(clips[2], extra=held),
    )
    for seed in range(5):
        others = choose_other_transcripts([first, second, third], np.random.default_rng(seed))
        assert others[0] == TRANSCRIPTS[2] and others[2] == TRANSCRIPTS[1]
        assert others[1] in (TRANSCRIPTS[0], TRANSCRIPTS[2])  # no clip sells what it shows


def test_of_several_shown_products_the_most_frequent_counts(world: Path) -> None:
    clips = clips_with_transcripts(world)[:3]
    rare, frequent = clips[1].product_ids[0], clips[2].product_ids[0]
    frames = [{"time": 0.0, "boxes": {rare: LEFT_HALF, frequent: LEFT_HALF}}]
    frames.append({"time": 1.0, "boxes": {frequent: LEFT_HALF}})
    shown = replace(clips[0], extra={"shown": frames})
    others = choose_other_transcripts([shown, *clips[1:]], np.random.default_rng(0))
    assert others[0] == TRANSCRIPTS[2]


@pytest.mark.parametrize("options", [(), ("--without-titles",)])
def test_evaluate_writes_grounding(
    options: tuple[str, ...],
    run: RunCommand,
    world: Path,
    tiny: Callable[[], Any],
    tmp_path: Path,
) -> None:
    data, index, model = (tmp_path / name for name in ("data", "index", "model"))
    checkpoint.save(guided(tiny()), model)
    assert run("index", world, "-o", index, "-m", model).status == 0
    products = [dataset.product_to_row(p, data) for p in dataset.read_dataset(world).products]
    dataset.write_jsonl(data / "products.jsonl", products)
    rows = [clip_to_row(clip, data) for clip in boxed_clips(world)]
    dataset.write_jsonl(data / "clips.jsonl", rows)
    output = tmp_path / "report.json"
    result = run("evaluate", data, "-i", index, "--grounding", *options, "--json", output)
    assert result.status == 0, result.err
    assert "| own |" in result.out and "R@1" in result.out
    report = json.loads(output.read_text())
    grounding = report["grounding"]
    assert all(grounding[name].keys() == FIGURES for name in ("own", "other", "none"))
    assert grounding["deaf"].keys() == {"whole", "deaf", "difference", "p"}
    assert grounding["own"]["frames"] == 6
    assert report["meta"].get("titles") == ("ignored" if options else None)


def test_grounding_of_a_dataset_without_clips_is_refused(
    run: RunCommand, stream: Path, tmp_path: Path
) -> None:
    result = run("evaluate", stream, "-i", tmp_path / "index", "--grounding")
    assert result.status == 2 and "has no clips for --grounding" in result.err
