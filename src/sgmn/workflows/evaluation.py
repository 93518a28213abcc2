"""Evaluate a dataset through an index: rank its clips, watch its streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sgmn.batching import batched
from sgmn.catalogue.index import Index
from sgmn.data.dataset import Dataset, Stream, read_stream
from sgmn.errors import MediaError, SgmnError
from sgmn.evaluation.ranking import Ranked, rank
from sgmn.evaluation.report import Report
from sgmn.evaluation.stream_report import StreamResult
from sgmn.evaluation.streams import time_weighted_accuracy
from sgmn.live.recognizer import Recognizer
from sgmn.media.record_content import clip_content
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import MODALITIES, Modality
from sgmn.records import Clip, ClipContent, Segment
from sgmn.workflows.opening import Shelves

TOGETHER = 8  # clips that are encoded at once
FRAMES = 10  # a clip, as LPR4M's protocol has it


def ranked(
    clips: Iterable[Clip],
    index: Index,
    used: Embedder,
    use: Sequence[Modality] = MODALITIES,
    damage: list[str] | None = None,
) -> Iterator[Ranked]:
    """Rank each clip's shop for it, in order. `use` names the modalities that count.

    A clip that cannot be read has no prediction: a miss, named in `damage`.
    """
    shelves = Shelves(index, use)
    lines: list[str] = [] if damage is None else damage
    for some in batched(clips, TOGETHER):
        contents = [_content(clip, used.max_side, lines) for clip in some]
        kept = [(content or ClipContent(())).only(use) for content in contents]
        vectors = used.clips(kept)
        for row, clip in enumerate(some):
            shelf = shelves[clip.shop_id]
            scores = shelf.scores(vectors[row : row + 1], used.ranker)[0].numpy()
            returned = scores if contents[row] else np.full_like(scores, -np.inf)
            yield rank(clip, shelf.product_ids, returned)


def _content(clip: Clip, max_side: int, damage: list[str]) -> ClipContent | None:
    try:
        return clip_content(clip, wanted=FRAMES, max_side=max_side, damage=damage)
    except MediaError as error:
        damage.append(str(error))
        return None


def watched(
    streams: Iterable[Stream],
    recognizer: Callable[[str], Recognizer],
    damage: list[str],
) -> Iterator[StreamResult]:
    """Watch each stream with the recognizer of its shop, for comparison with its truth.

    A stream that cannot be read is one in which nothing was found, named in `damage`.
    """
    for stream in streams:
        try:
            found = recognizer(stream.shop_id).watch(stream.video, stream.transcript)
        except MediaError as error:
            damage.append(str(error))
            yield StreamResult(stream.stream_id, stream.timeline, ())
        else:
            damage.extend(found.damage)
            yield StreamResult(stream.stream_id, stream.timeline, found.segments)


def labelled(data: Dataset, split: str) -> tuple[list[Clip], list[Stream], int]:
    """The clips of a split ("" for all) and the streams that have a truth; how many have none."""
    wanted = [clip for clip in data.clips if not split or clip.split == split]
    clips = [clip for clip in wanted if clip.product_ids]
    streams = [stream for stream in data.streams if stream.timeline]
    if not clips and not streams:
        raise SgmnError(
            "has nothing to evaluate", data.root, "give clips with product_ids, or streams"
        )
    return clips, streams, len(wanted) + len(data.streams) - len(clips) - len(streams)


def read_truth(path: Path) -> tuple[Segment, ...]:
    """The true timeline of a stream's JSON file."""
    return read_stream(path).timeline


def agreement_line(truth: Sequence[Segment], found: Sequence[Segment]) -> str:
    """How much of the time the found timeline is right, in a line."""
    return f"right for {time_weighted_accuracy(truth, found):.1%} of the time"


def streams_beside(path: Path | None, data: Dataset) -> Path | None:
    """Where the streams' report goes: beside that of the clips, where there are both."""
    return path.with_stem(f"{path.stem}-streams") if path and data.clips else path


def read_report(path: Path) -> Report:
    """The report of a JSON file."""
    try:
        return Report.from_json(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise SgmnError(f"cannot be read ({error})", path, "give a file of --json") from error
