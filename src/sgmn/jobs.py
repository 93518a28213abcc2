"""Where the wings meet: the model of a name, the index of a model, a dataset through an index."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sgmn.batching import batched
from sgmn.catalogue.index import Index
from sgmn.catalogue.shelf import Shelf
from sgmn.catalogue.stamp import ModelStamp
from sgmn.data.dataset import Dataset, Stream, read_stream
from sgmn.errors import IndexingError, MediaError, SgmnError
from sgmn.evaluation.ranking import Ranked, rank
from sgmn.evaluation.report import Report
from sgmn.evaluation.stream_report import StreamResult
from sgmn.evaluation.streams import time_weighted_accuracy
from sgmn.live.findings import Heat, confidence, findings
from sgmn.live.page import Page
from sgmn.live.recognizer import Recognition, Recognizer
from sgmn.media.content import clip_content
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.model.explanation import heat
from sgmn.model.scoring import MODALITIES, Modality
from sgmn.records import Clip, ClipContent, Picture, Segment, Utterance

DEFAULT_MODEL = "builtin"
TOGETHER = 8  # clips that are encoded at once
FRAMES = 10  # a clip, as LPR4M's protocol has it


def embedder(model: str) -> Embedder:
    """A model by folder or name, ready to encode, on the GPU if there is one."""
    return Embedder(checkpoint.load(model))


def model_of(index: Path, model: str | None) -> str:
    """The model that is meant: the given one, or the one that made the index, or the default."""
    if model is not None:
        return model
    return Index.open(index).model.name if Index.is_at(index) else DEFAULT_MODEL


def stamp(used: Embedder) -> ModelStamp:
    """What an index remembers of the model that made it."""
    return ModelStamp(used.model.fingerprint(), used.dim, used.model.name)


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


class Shelves:
    """The shelf of each shop of an index, read once; `use` names the modalities that count."""

    def __init__(self, index: Index, use: Sequence[Modality] = MODALITIES) -> None:
        self.index, self.use = index, use
        self.read: dict[str, Shelf] = {}

    def __getitem__(self, shop_id: str) -> Shelf:
        if shop_id not in self.read:
            whole = self.index.shelf(shop_id)
            self.read[shop_id] = Shelf(whole.products, whole.vectors.only(self.use))
        return self.read[shop_id]


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


def only_shop(index: Index, shop_id: str | None) -> str:
    """The shop that is meant: the given one, or the only one there is."""
    shops = index.shops()
    if shop_id is not None:
        return shop_id
    if len(shops) != 1:
        known = ", ".join(map(repr, sorted(shops)[:10])) or "none"
        raise IndexingError(f"has {len(shops)} shops ({known})", index.path, "name one with --shop")
    return next(iter(shops))


def opened(path: Path, used: Embedder) -> Index:
    """The index of this model at `path`."""
    return Index.open(path, stamp(used))


def modalities(names: str) -> tuple[Modality, ...]:
    """Modalities from "picture", "words" or "picture,words"."""
    given = [name.strip() for name in names.split(",")]
    if not given or not set(given) <= set(MODALITIES):
        raise SgmnError(f"{names!r} is nothing to use", remedy="give picture, words or both")
    return tuple(m for m in MODALITIES if m in given)


def read_truth(path: Path) -> tuple[Segment, ...]:
    """The true timeline of a stream's JSON file."""
    return read_stream(path).timeline


def agreement_line(truth: Sequence[Segment], found: Sequence[Segment]) -> str:
    """How much of the time the found timeline is right, in a line."""
    return f"right for {time_weighted_accuracy(truth, found):.1%} of the time"


def page(
    source: Path,
    found: Recognition,
    recognizer: Recognizer,
    index: Index,
    said: Sequence[Utterance] = (),
    truth: Sequence[Segment] = (),
    *,
    seconds: float,
) -> Page:
    """The page of a stream that was watched in `seconds`; its key frames are read here."""
    shelf = recognizer.shelf
    shop_id = shelf.products[0].shop_id

    def look(picture: Picture, /, said: str) -> Heat | None:
        return heat(recognizer.embedder, picture, said if "words" in recognizer.use else "")

    return Page(
        name=source.name,
        duration_s=found.duration_s,
        facts={
            "Shop": f"{shop_id or 'without a name'}, {len(shelf)} products",
            "Model": recognizer.embedder.model.name,
            "Weighed": " and ".join(recognizer.use),
            "Watched in": f"{seconds:.1f} s ({found.duration_s / seconds:.0f}x)",
            "Index": str(index.path),
        },
        findings=findings(found, source, said, recognizer.settings, look),
        titles={product.product_id: product.title for product in shelf.products},
        pictures=index.thumbnails(shop_id),
        times=found.times,
        confidence=confidence(found, recognizer.settings),
        truth=tuple(truth),
        right=time_weighted_accuracy(truth, found.segments) if truth else None,
        damage=found.damage,
    )


def require_writable(*paths: Path | None) -> None:
    """Refuse, before the work is done, an output that could not be written after it."""
    for path in paths:
        if path is None:
            continue
        if path.is_dir():
            raise SgmnError("is a folder", path, "give a file to write")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SgmnError(
                f"cannot be written ({error.strerror})", path, "give another place"
            ) from error
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            raise SgmnError("cannot be written", path, "give a file in a folder of yours")


def streams_beside(path: Path | None, data: Dataset) -> Path | None:
    """Where the streams' report goes: beside that of the clips, where there are both."""
    return path.with_stem(f"{path.stem}-streams") if path and data.clips else path


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


def read_report(path: Path) -> Report:
    """The report of a JSON file."""
    try:
        return Report.from_json(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise SgmnError(f"cannot be read ({error})", path, "give a file of --json") from error


def write_text(path: Path, text: str) -> None:
    """Write a file that a user asked for. Raises SgmnError naming it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SgmnError(f"cannot be written ({error.strerror})", path) from error
