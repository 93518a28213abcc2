"""Measure grounding: where and when guidance attends, with which transcript, and what it is worth.

Guidance sees each clip's frames with three transcripts: the clip's own, another clip's, and none.
The other transcript is about a product that is held up in the clip too, if the dataset names such
a product and has a clip that sells it; otherwise it is the transcript of any other product's clip.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from sgmn.batching import batched
from sgmn.catalogue.index import Index
from sgmn.catalogue.shelf import Shelf
from sgmn.errors import MediaError, SgmnError
from sgmn.evaluation.grounding import (
    ClipGrounding,
    FloatArray,
    GroundingReport,
    ground_clip,
    summarize,
)
from sgmn.evaluation.metrics import hits_at
from sgmn.evaluation.ranking import rank_clip
from sgmn.evaluation.robustness import swap_transcripts
from sgmn.evaluation.significance import paired_test
from sgmn.media.clips import read_timed_clip_frames
from sgmn.media.frame import Frame
from sgmn.model.embedder import Embedder
from sgmn.model.glance import EncodedFrames
from sgmn.model.inputs import choose_canvas, compute_placement
from sgmn.model.scoring import MODALITIES, ClipVectors
from sgmn.records import Clip, ImageArray
from sgmn.training.data.boxes import FrameBoxes, PatchGrids, boxes_at_times, visible_at_times
from sgmn.training.data.grounding_labels import measure_patch_grids
from sgmn.workflows.evaluation import BATCH_SIZE, MAX_FRAMES
from sgmn.workflows.loading import ShelfCache

RATE_HZ = 1.0  # sampled frames per second, as in `evaluation.rank_clips`
Progress = Callable[[int, int], None]  # clips measured so far, of how many


@dataclass(frozen=True)
class _LabeledClip:
    """A decoded clip with its labels for each frame."""

    clip: Clip
    frames: tuple[Frame, ...]
    boxes: tuple[FrameBoxes, ...]
    visible: tuple[bool, ...]


def measure_grounding(
    clips: Sequence[Clip],
    index: Index,
    *,
    without_titles: bool = False,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
    damage: list[str] | None = None,
) -> GroundingReport:
    """Measure the guidance of the index's model on labeled clips; see `evaluation.grounding`.

    Args:
        clips: Clips with `boxes` or with `visible_span` [from, to] in seconds; others count for
            R@1 only.
        index: The index with the shops of the clips.
        without_titles: Whether to ignore the titles of all products.
        seed: Decides which other transcript a clip gets.
        progress: Called after each batch.
        damage: Receives a line for each clip that cannot be read; it counts as a miss.

    Raises:
        SgmnError: No clip has boxes or a visible span, or the model has no patches.
    """
    if not any(clip.boxes or "visible_span" in clip.extra for clip in clips):
        raise SgmnError(
            "no clip has 'boxes' or 'visible_span'", "grounding", "pass clips that are labeled"
        )
    if not index.embedder.network.parts.needs_tokens:
        raise SgmnError(
            "the model has no attention over patches", "grounding", "use a model with guidance"
        )
    others = choose_other_transcripts(clips, np.random.default_rng(seed))
    shelves = ShelfCache(index, ("image",) if without_titles else MODALITIES)
    measurement = _Measurement(index.embedder, shelves, [] if damage is None else damage)
    done = 0
    for batch in batched(zip(clips, others, strict=True), BATCH_SIZE):
        measurement.add([clip for clip, _ in batch], [text for _, text in batch])
        done += len(batch)
        progress(done, len(clips))
    return measurement.report()


class _Measurement:
    """Collects the figures of clips, batch by batch."""

    def __init__(self, embedder: Embedder, shelves: ShelfCache, damage: list[str]) -> None:
        self.embedder, self.shelves, self.damage = embedder, shelves, damage
        self.grids = measure_patch_grids(embedder.network)
        self.grounded: dict[str, list[ClipGrounding]] = {"own": [], "other": [], "none": []}
        self.ranks: dict[str, list[int | None]] = {"own": [], "none": []}

    def add(self, clips: Sequence[Clip], other_texts: Sequence[str]) -> None:
        """Measure clips with their own transcript, with another, and without."""
        labeled = [_load(clip, self.embedder.max_side, self.damage) for clip in clips]
        frames = [self.embedder.encode_frames([f.rgb for f in one.frames]) for one in labeled]
        texts = [clip.text for clip in clips]
        variants = {"own": texts, "other": other_texts, "none": [""] * len(texts)}
        for name, guidance_texts in variants.items():
            vectors, grounded = _guide(
                self.embedder, self.grids, labeled, frames, texts, guidance_texts
            )
            self.grounded[name] += grounded
            if name in self.ranks:
                self.ranks[name] += [
                    _rank(one, vectors[i : i + 1], self.shelves[one.clip.shop_id], self.embedder)
                    for i, one in enumerate(labeled)
                ]

    def report(self) -> GroundingReport:
        """Summarize all clips so far."""
        own, other, none = (summarize(self.grounded[name]) for name in ("own", "other", "none"))
        whole, deaf = (hits_at(self.ranks[name], 1) for name in ("own", "none"))
        return GroundingReport(own, other, none, paired_test(whole, deaf))


def choose_other_transcripts(clips: Sequence[Clip], rng: np.random.Generator) -> list[str]:
    """For each clip the transcript of a clip that sells another product, which it shows if any."""
    by_product: dict[tuple[str, str], str] = {}
    for clip in clips:
        for product_id in clip.product_ids:
            if clip.text:
                by_product.setdefault((clip.shop_id, product_id), clip.text)
    swapped = swap_transcripts(clips, rng)
    others = []
    for clip, fallback in zip(clips, swapped, strict=True):
        about_shown = (by_product.get((clip.shop_id, p)) for p in _other_shown_products(clip))
        others.append(next((text for text in about_shown if text), fallback))
    return others


def _other_shown_products(clip: Clip) -> list[str]:
    """Products besides its own that a clip shows, the most frequent first."""
    counts: dict[str, int] = {}
    held = [entry[0] for entry in clip.extra.get("held_instead", ()) if entry]
    shown = [name for frame in clip.extra.get("shown", ()) for name in frame["boxes"]]
    for name in held or shown:
        if name not in clip.product_ids:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], name))


def _load(clip: Clip, max_side: int, damage: list[str]) -> _LabeledClip:
    try:
        frames = read_timed_clip_frames(clip, MAX_FRAMES, RATE_HZ, max_side, damage)
    except MediaError as error:
        damage.append(str(error))
        return _LabeledClip(clip, (), (), ())
    times = [frame.time_s for frame in frames]
    boxes = boxes_at_times(clip, times, RATE_HZ) if clip.boxes else ((),) * len(frames)
    visible = visible_at_times(clip, times, boxes) or (False,) * len(frames)
    return _LabeledClip(clip, frames, boxes, visible)


@torch.inference_mode()
def _guide(
    embedder: Embedder,
    grids: PatchGrids,
    labeled: Sequence[_LabeledClip],
    frames: Sequence[EncodedFrames],
    texts: Sequence[str],
    guidance_texts: Sequence[str],
) -> tuple[ClipVectors, list[ClipGrounding]]:
    """Encode clips whose guidance hears other words than the rest of the model."""
    vectors, guidance = embedder.encode_guided_windows(frames, texts, guidance_texts)
    omega = guidance.frame_weights.cpu().double().numpy()
    alpha = guidance.patch_weights.cpu().double().numpy()
    grounded = []
    for row, one in enumerate(labeled):
        patches = [patch_boxes(frame.rgb, grids) for frame in one.frames]
        weights = [alpha[row, t, : len(boxes)] for t, boxes in enumerate(patches)]
        omega_row = omega[row, : len(one.frames)]
        grounded.append(ground_clip(omega_row, weights, patches, one.boxes, one.visible))
    return vectors, grounded


def patch_boxes(image: ImageArray, grids: PatchGrids) -> FloatArray:
    """The patches (N, 4) of an image as shares of it: left, top, right, bottom."""
    canvas = choose_canvas(image, tuple(grids))
    rows, columns = grids[canvas]
    placement = compute_placement(image.shape, canvas)
    y = (np.linspace(0, canvas[0], rows + 1) - placement.top) / placement.height
    x = (np.linspace(0, canvas[1], columns + 1) - placement.left) / placement.width
    top, left = (side.ravel() for side in np.meshgrid(y[:-1], x[:-1], indexing="ij"))
    bottom, right = (side.ravel() for side in np.meshgrid(y[1:], x[1:], indexing="ij"))
    return np.stack([left, top, right, bottom], axis=1)


def _rank(one: _LabeledClip, vectors: ClipVectors, shelf: Shelf, embedder: Embedder) -> int | None:
    scores: Any = shelf.scores(vectors, embedder.ranker)[0].numpy()
    if not one.frames:
        scores = np.full_like(scores, -np.inf)
    return rank_clip(one.clip, shelf.product_ids, scores).rank
