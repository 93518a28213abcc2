"""Rank clips with one thing changed at a time: how much a model loses when clips get worse."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sgmn.batching import batched
from sgmn.catalogue.index import Index
from sgmn.catalogue.shelf import Shelf
from sgmn.errors import MediaError, SgmnError
from sgmn.evaluation import robustness
from sgmn.evaluation.ranking import RankedClip, rank_clip
from sgmn.evaluation.robustness_report import BASELINE, IMAGES_ONLY, ConditionFigures
from sgmn.media.content_loader import load_clip_content, load_product_content
from sgmn.model.embedder import Embedder
from sgmn.model.glance import EncodedFrames
from sgmn.records import Clip, ClipContent, ImageArray, ProductContent
from sgmn.workflows import evaluation, loading

Generator = np.random.Generator
DAMAGES: dict[str, Callable[[ImageArray, Generator], ImageArray]] = {
    "low light": robustness.darken,
    f"images of {robustness.LOW_RESOLUTION_SIDE_PX} px": lambda image, rng: (
        robustness.reduce_resolution(image)
    ),
    f"JPEG quality {robustness.JPEG_QUALITY}": lambda image, rng: robustness.compress_jpeg(image),
}


class UntitledShelves:
    """The shelf of each shop, with its products encoded without their titles."""

    def __init__(self, shelves: loading.ShelfCache, embedder: Embedder) -> None:
        self.shelves, self.embedder = shelves, embedder
        self.encoded: dict[str, Shelf] = {}

    def __getitem__(self, shop_id: str) -> Shelf:
        if shop_id not in self.encoded:
            products = self.shelves[shop_id].products
            side = self.embedder.max_side
            contents = [load_product_content(product, max_side=side) for product in products]
            untitled = [ProductContent(content.images) for content in contents]
            self.encoded[shop_id] = Shelf(products, self.embedder.encode_products(untitled))
        return self.encoded[shop_id]


@dataclass(frozen=True, slots=True)
class Condition:
    """A batch of clips under one condition: frames and text of each, and the shelves to rank."""

    name: str
    frames: Sequence[EncodedFrames]
    texts: Sequence[str]
    shelves: loading.ShelfCache | UntitledShelves


class RobustnessTest:
    """Ranks clips under every condition, in batches, so that each clip is decoded once.

    `damage` lists what could not be read. The same seed gives the same changes.
    """

    def __init__(
        self, clips: Sequence[Clip], index: Index, embedder: Embedder, seed: int = 0
    ) -> None:
        if not clips:
            remedy = "pass clips that have product_ids"
            raise SgmnError("has no labeled clip", "the dataset", remedy)
        self.clips, self.embedder, self.seed = clips, embedder, seed
        self.shelves = loading.ShelfCache(index)
        self.untitled = UntitledShelves(self.shelves, embedder)
        self.swapped_texts = robustness.swap_transcripts(clips, np.random.default_rng(seed))
        self.damage: list[str] = []

    def rank_clips(self) -> Iterator[dict[str, RankedClip]]:
        """For each clip, in order, its answer under each condition, by name."""
        for places in batched(range(len(self.clips)), evaluation.BATCH_SIZE):
            contents = [self._read(self.clips[place]) for place in places]
            answers = {
                condition.name: self._rank(places, contents, condition)
                for condition in self._conditions(places, contents)
            }
            for row in range(len(places)):
                yield {name: ranked[row] for name, ranked in answers.items()}

    def _read(self, clip: Clip) -> ClipContent | None:
        try:
            side = self.embedder.max_side
            return load_clip_content(
                clip, max_frames=evaluation.MAX_FRAMES, max_side=side, damage=self.damage
            )
        except MediaError as error:
            self.damage.append(str(error))
            return None

    def _conditions(
        self, places: Sequence[int], contents: Sequence[ClipContent | None]
    ) -> Iterator[Condition]:
        images = [content.frames if content else () for content in contents]
        texts, silent = [self.clips[place].text for place in places], [""] * len(places)
        swapped = [self.swapped_texts[place] for place in places]
        frames, shelves = [self.embedder.encode_frames(own) for own in images], self.shelves
        yield Condition(BASELINE, frames, texts, shelves)
        yield Condition("transcript removed", frames, silent, shelves)
        yield Condition("transcript of another clip", frames, swapped, shelves)
        yield Condition("titles removed", frames, texts, self.untitled)
        yield Condition("images removed", [own[:0] for own in frames], texts, shelves)
        rngs = [np.random.default_rng([self.seed, place]) for place in places]
        halves = [
            own[robustness.choose_half(len(own), rng)]
            for own, rng in zip(frames, rngs, strict=True)
        ]
        yield Condition("half of the frames", halves, texts, shelves)
        for name, damage in DAMAGES.items():
            damaged = [
                self.embedder.encode_frames([damage(image, rng) for image in own])
                for own, rng in zip(images, rngs, strict=True)
            ]
            yield Condition(name, damaged, texts, shelves)
        yield Condition(IMAGES_ONLY, frames, silent, self.untitled)

    def _rank(
        self,
        places: Sequence[int],
        contents: Sequence[ClipContent | None],
        condition: Condition,
    ) -> list[RankedClip]:
        """The answers of a batch; a clip that cannot be read is a miss."""
        vectors = self.embedder.encode_windows(condition.frames, condition.texts)
        answers = []
        for row, place in enumerate(places):
            clip = self.clips[place]
            shelf = condition.shelves[clip.shop_id]
            scores = shelf.scores(vectors[row : row + 1], self.embedder.ranker)[0].numpy()
            returned = scores if contents[row] else np.full_like(scores, -np.inf)
            answers.append(rank_clip(clip, shelf.product_ids, returned))
        return answers


def report_json(
    meta: Mapping[str, Any], clips: Sequence[Clip], figures: Mapping[str, ConditionFigures]
) -> str:
    """The report as JSON: `meta`, the clip ids, and the figures and ranks of each condition."""
    content = {
        "meta": dict(meta),
        "clip_ids": [clip.clip_id for clip in clips],
        "conditions": {name: asdict(row) for name, row in figures.items()},
    }
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"
