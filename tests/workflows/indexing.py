"""Helpers to index products and to make labeled clips and answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from sgmn.catalogue.index import Index
from sgmn.data import dataset
from sgmn.evaluation.ranking import RankedClip
from sgmn.model.embedder import Embedder
from sgmn.records import Clip, Product, Utterance

TRANSCRIPTS = ("red milk today", "green milk", "blue milk for you", "hello juice")


def create_index(products: Iterable[Product], embedder: Embedder, path: Path) -> Index:
    index = Index.create(path, embedder)
    index.add(products)
    return index


def clips_with_transcripts(world: Path) -> list[Clip]:
    """The four clips of the tiny world, each with a transcript of its own."""
    clips = zip(dataset.read_dataset(world).clips, TRANSCRIPTS, strict=True)
    return [replace(clip, transcript=(Utterance(0, 1, text),)) for clip, text in clips]


def ranked_clip(name: str, rank: int | None, shelf_size: int = 40, **attributes: Any) -> RankedClip:
    return RankedClip(name, "s", rank, ("x",), (0.5,), ("t",), shelf_size, attributes)
