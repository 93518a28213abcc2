"""The reviewed segments of a catalogue, from which its model learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sgmn.catalogue.table import ProductTable
from sgmn.records import Product
from sgmn.service.context import ServiceContext
from sgmn.service.database import tables
from sgmn.service.streams.exports import read_windows
from sgmn.service.streams.journal import FILE_NAME
from sgmn.service.streams.kept_frames import FRAMES_FOLDER, KeptFrames
from sgmn.service.streams.layers import LayeredSegment, read_layer
from sgmn.service.streams.pairs import (
    FolderSink,
    PairSession,
    Split,
    select_reviewed,
    split_segments,
    to_lines,
    write_clips,
    write_products,
)
from sgmn.service.streams.recordings import RECORDING_FOLDER
from sgmn.service.streams.service import streams_of

MIN_TRAINING, MIN_HELD_OUT = 8, 3  # segments without which no model is trained


@dataclass(frozen=True, slots=True)
class ReviewedCounts:
    """How much has been reviewed of a catalogue.

    Attributes:
        sessions: Sessions with a reviewed segment.
        training: Segments to train on.
        held_out: Segments to compare models on; no model is trained on them.
        products: Different products in these segments.
    """

    sessions: int
    training: int
    held_out: int
    products: int

    @property
    def shortage(self) -> str | None:
        """What is missing for a training; None if nothing is."""
        missing = max(MIN_TRAINING - self.training, 4 * (MIN_HELD_OUT - self.held_out))
        if missing <= 0:
            return None
        found = f"{self.training} reviewed segments to train on and {self.held_out} to compare on"
        return (
            f"There are {found}; {MIN_TRAINING} and {MIN_HELD_OUT} are needed. "
            f"Review about {missing} more."
        )


Sides = list[tuple[LayeredSegment, Split]]


def read_reviewed(
    connection: sa.Connection, catalogue_id: str, products: Mapping[str, object]
) -> dict[str, Sides]:
    """Return the reviewed segments with products of a catalogue, by session, with their sides."""
    sessions, reviews = tables.sessions, tables.reviews
    reviewed = sa.select(reviews.c.session_id).distinct()
    query = sa.select(sessions.c.id).where(
        sessions.c.catalogue_id == catalogue_id, sessions.c.id.in_(reviewed)
    )
    found: dict[str, Sides] = {}
    for session_id in connection.execute(query.order_by(sessions.c.id)).scalars().all():
        segments = read_layer(connection, session_id, "reviewed", None)
        sides = split_segments(session_id, select_reviewed(segments, products))
        if sides:
            found[session_id] = sides
    return found


def count_reviewed(found: Mapping[str, Sides]) -> ReviewedCounts:
    """Count reviewed segments."""
    sides = [side for one in found.values() for side in one]
    return ReviewedCounts(
        sessions=len(found),
        training=sum(split == "train" for _, split in sides),
        held_out=sum(split == "val" for _, split in sides),
        products=len({layered.segment.product_id for layered, _ in sides}),
    )


def write_dataset(
    context: ServiceContext,
    table: ProductTable,
    shop_id: str,
    found: Mapping[str, Sides],
    folder: Path,
) -> dict[Split, int]:
    """Write reviewed segments and all products of a shop as a dataset; return clips per side."""
    sink = FolderSink(folder)
    products: list[Product] = table.products(shop_id)
    rows = write_products(products, table.thumbnails(shop_id), shop_id, sink)
    sink.add_bytes("products.jsonl", to_lines(rows))
    clips = list(_write_all_clips(context, shop_id, found, sink))
    sink.add_bytes("clips.jsonl", to_lines(clips))
    splits: tuple[Split, ...] = ("train", "val")
    return {split: sum(clip["split"] == split for clip in clips) for split in splits}


def _write_all_clips(
    context: ServiceContext, shop_id: str, found: Mapping[str, Sides], sink: FolderSink
) -> Iterator[dict[str, Any]]:
    for session_id, sides in found.items():
        folder = streams_of(context).folder(session_id)
        session = PairSession(
            session_id=session_id,
            shop_id=shop_id,
            frames=KeptFrames(folder / FRAMES_FOLDER),
            recording=folder / RECORDING_FOLDER,
            windows=read_windows(folder / FILE_NAME),
        )
        yield from write_clips(sides, session, sink)
