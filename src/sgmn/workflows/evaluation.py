"""Evaluates a dataset with an index: ranks its clips and watches its streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from sgmn.batching import batched
from sgmn.catalogue.index import Index
from sgmn.catalogue.shelf import Shelf
from sgmn.data.dataset import Dataset, Stream, read_stream
from sgmn.errors import MediaError, SgmnError, error_reason
from sgmn.evaluation.ranking import TOP_K, RankedClip, rank_clip
from sgmn.evaluation.report import Report
from sgmn.evaluation.stream_report import StreamResult
from sgmn.evaluation.timeline_metrics import time_weighted_accuracy
from sgmn.live.recognizer import StreamRecognizer
from sgmn.media.content_loader import load_clip_content
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import MODALITIES, Modality
from sgmn.records import Clip, ClipContent, Segment
from sgmn.workflows.loading import ShelfCache

BATCH_SIZE = 8  # clips that are encoded at once
MAX_FRAMES = 10  # frames of a clip, as in the protocol of LPR4M


def rank_clips(
    clips: Iterable[Clip],
    index: Index,
    embedder: Embedder,
    modalities: Sequence[Modality] = MODALITIES,
    damage: list[str] | None = None,
    *,
    without_titles: bool = False,
    depth: int = TOP_K,
) -> Iterator[RankedClip]:
    """Rank the products of each clip's shop for it.

    Args:
        clips: Labeled clips, in any order.
        index: The index with the shops of the clips.
        embedder: Encodes the clips; of the model that built the index.
        modalities: Which modalities of clips and products to use.
        damage: Receives a line for each clip or frame that cannot be read.
        without_titles: Whether to ignore the titles of all products.
        depth: Products of a result.

    Yields:
        One result per clip, in order. A clip that cannot be read is a miss.
    """
    ignored = {"text"} if without_titles else set()
    shelves = ShelfCache(index, [m for m in modalities if m not in ignored])
    messages: list[str] = [] if damage is None else damage
    yield from rank_on_shelves(clips, shelves, embedder, modalities, messages, depth)


def rank_on_shelves(
    clips: Iterable[Clip],
    shelves: Mapping[str, Shelf] | ShelfCache,
    embedder: Embedder,
    modalities: Sequence[Modality],
    damage: list[str],
    depth: int = TOP_K,
) -> Iterator[RankedClip]:
    """Rank the products of its shop's shelf for each clip; see `rank_clips`."""
    for batch in batched(clips, BATCH_SIZE):
        contents = [load_content(clip, embedder.max_side, damage) for clip in batch]
        selected = [(c or ClipContent(())).select_modalities(modalities) for c in contents]
        vectors = embedder.encode_clips(selected)
        for row, clip in enumerate(batch):
            shelf = shelves[clip.shop_id]
            scores = shelf.scores(vectors[row : row + 1], embedder.ranker)[0].numpy()
            if contents[row] is None:
                scores = np.full_like(scores, -np.inf)
            yield rank_clip(clip, shelf.product_ids, scores, depth)


def load_content(clip: Clip, max_side: int, damage: list[str]) -> ClipContent | None:
    """Decode a clip as it is evaluated; None, with a line in `damage`, if it cannot be read."""
    try:
        return load_clip_content(clip, max_frames=MAX_FRAMES, max_side=max_side, damage=damage)
    except MediaError as error:
        damage.append(str(error))
        return None


def recognize_streams(
    streams: Iterable[Stream],
    recognizer_of: Callable[[str], StreamRecognizer],
    damage: list[str],
) -> Iterator[StreamResult]:
    """Watch each stream with the recognizer of its shop.

    Args:
        streams: Streams with a true timeline.
        recognizer_of: Returns the recognizer of a shop by its shop_id.
        damage: Receives a line for everything that cannot be read.

    Yields:
        One result per stream, in order. A stream that cannot be read has an empty prediction.
    """
    for stream in streams:
        try:
            report = recognizer_of(stream.shop_id).watch(stream.video, stream.transcript)
        except MediaError as error:
            damage.append(str(error))
            yield StreamResult(stream.stream_id, stream.timeline, ())
        else:
            damage.extend(report.damage)
            yield StreamResult(stream.stream_id, stream.timeline, report.segments)


def select_labeled(data: Dataset, split: str) -> tuple[list[Clip], list[Stream], int]:
    """The labeled clips of a split ("" for all), the labeled streams, and how many are unlabeled.

    Raises SgmnError if nothing is labeled.
    """
    in_split = [clip for clip in data.clips if not split or clip.split == split]
    clips = [clip for clip in in_split if clip.product_ids]
    streams = [stream for stream in data.streams if stream.timeline]
    if not clips and not streams:
        raise SgmnError(
            "has nothing to evaluate",
            data.root,
            "add clips with product_ids, or streams with a timeline",
        )
    unlabeled_count = len(in_split) + len(data.streams) - len(clips) - len(streams)
    return clips, streams, unlabeled_count


def read_true_timeline(path: Path) -> tuple[Segment, ...]:
    """Read the true timeline from the JSON file of a stream."""
    return read_stream(path).timeline


def format_agreement(truth: Sequence[Segment], prediction: Sequence[Segment]) -> str:
    """One line with the share of the time in which the prediction is correct."""
    return f"correct for {time_weighted_accuracy(truth, prediction):.1%} of the time"


def stream_report_path(path: Path | None, data: Dataset) -> Path | None:
    """Where to write the report of the streams: beside that of the clips, if there are clips."""
    return path.with_stem(f"{path.stem}-streams") if path and data.clips else path


def read_report(path: Path) -> Report:
    """Read a report that `sgmn evaluate --json` wrote."""
    try:
        return Report.from_json(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        remedy = "pass a file of `sgmn evaluate --json`"
        raise SgmnError(f"cannot be read ({error_reason(error)})", path, remedy) from error
