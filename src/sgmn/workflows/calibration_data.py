"""What a calibration is fitted on: logits of clips, terms of their scores, watched streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sgmn.batching import batched
from sgmn.catalogue.shelf import Shelf
from sgmn.data.dataset import Stream
from sgmn.errors import MediaError
from sgmn.evaluation.text_score import TranscriptTrial, swapped_places, without_floor
from sgmn.live.recognizer import RecognitionResult, StreamRecognizer
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import ClipVectors, Term, compute_terms
from sgmn.records import Clip, ClipContent
from sgmn.workflows import evaluation
from sgmn.workflows.loading import ShelfCache

Logits = NDArray[np.float64]


class ClipLogits(NamedTuple):
    """The logits (S,) of a clip's shelf, and the columns of its true products, maybe none."""

    logits: Logits
    true_columns: tuple[int, ...]

    def divided_by(self, temperature: float) -> ClipLogits:
        """The same clip with its logits divided by a temperature."""
        return self._replace(logits=self.logits / temperature)


class WatchedStream(NamedTuple):
    """What was recognized in a stream, and the true product of each window that its truth covers.

    A true product of None means that nothing is on sale.
    """

    result: RecognitionResult
    truths: dict[int, str | None]
    stream: Stream

    def divided_by(self, temperature: float) -> WatchedStream:
        """The same stream with its logits divided by a temperature.

        The segments of its result are not decoded again.
        """
        scores = self.result.scores / temperature
        return self._replace(result=replace(self.result, scores=scores))

    @property
    def window_logits(self) -> list[ClipLogits]:
        """The windows in which something is on sale."""
        ids, scores = self.result.product_ids, self.result.scores
        on_sale = ((row, truth) for row, truth in self.truths.items() if truth is not None)
        return [ClipLogits(scores[row], _columns(ids, (truth,))) for row, truth in on_sale]


def _columns(product_ids: Sequence[str], truths: Sequence[str | None]) -> tuple[int, ...]:
    return tuple(column for column, name in enumerate(product_ids) if name in truths)


def pad_logits(clips: Sequence[ClipLogits]) -> tuple[Logits, NDArray[np.intp]]:
    """Logits (N, S) with -inf beyond the end of a shelf, and (N,) the best-scored true column.

    Clips whose true products are not on the shelf have no log loss and are left out.
    """
    known = [clip for clip in clips if clip.true_columns]
    widest = max((len(clip.logits) for clip in known), default=0)
    logits = np.full((len(known), widest), -np.inf)
    for row, clip in enumerate(known):
        logits[row, : len(clip.logits)] = clip.logits
    truths = [max(clip.true_columns, key=lambda column: clip.logits[column]) for clip in known]
    return logits, np.array(truths, dtype=np.intp)


@dataclass(frozen=True)
class ClipReader:
    """Reads and encodes labeled clips; `damage` lists those that cannot be read."""

    embedder: Embedder
    shelves: ShelfCache
    damage: list[str]

    def compute_logits(self, clips: Iterable[Clip]) -> Iterator[ClipLogits]:
        """The logits of each readable clip against its shop."""
        ranker = self.embedder.ranker
        for clip in clips:
            content = self._read(clip)
            if content is not None:
                shelf = self.shelves[clip.shop_id]
                scores = shelf.scores(self.embedder.encode_clips([content]), ranker)[0]
                logits = (scores * ranker.weights.logit_scale).double().numpy()
                yield ClipLogits(logits, _columns(shelf.product_ids, clip.product_ids))

    def _read(self, clip: Clip) -> ClipContent | None:
        return evaluation.load_content(clip, self.embedder.max_side, self.damage)

    def compute_trials(self, clips: Sequence[Clip]) -> Iterator[TranscriptTrial]:
        """Trials of the clips that have a transcript and a true product on the shelf."""
        labeled = [clip for clip in clips if clip.text and self._true_column(clip) is not None]
        keys = [frozenset((clip.shop_id, name) for name in clip.product_ids) for clip in labeled]
        texts = [labeled[place].text for place in swapped_places(keys)] if labeled else []
        for shop in dict.fromkeys(clip.shop_id for clip in labeled):
            own = [(c, text) for c, text in zip(labeled, texts, strict=True) if c.shop_id == shop]
            for batch in batched(own, evaluation.BATCH_SIZE):
                yield from self._trial(batch, self.shelves[shop])

    def _trial(self, batch: Sequence[tuple[Clip, str]], shelf: Shelf) -> Iterator[TranscriptTrial]:
        contents = [(clip, text, self._read(clip)) for clip, text in batch]
        readable = [(clip, text, content) for clip, text, content in contents if content]
        if not readable:
            return
        frames = [self.embedder.encode_frames(content.frames) for _, _, content in readable]
        own, swapped = (
            self._terms(self.embedder.encode_windows(frames, texts), shelf)
            for texts in ([clip.text for clip, _, _ in readable], [text for _, text, _ in readable])
        )
        truth = torch.tensor([self._true_column(clip) for clip, _, _ in readable])
        yield TranscriptTrial(own, swapped, truth)

    @torch.inference_mode()
    def _terms(self, vectors: ClipVectors, shelf: Shelf) -> dict[str, Term]:
        return compute_terms(vectors, shelf.vectors, without_floor(self.embedder.ranker.weights))

    def _true_column(self, clip: Clip) -> int | None:
        columns = _columns(self.shelves[clip.shop_id].product_ids, clip.product_ids)
        return columns[0] if columns else None


@dataclass(frozen=True)
class StreamWatcher:
    """Watches labeled streams; `damage` lists what cannot be read."""

    embedder: Embedder
    shelves: ShelfCache
    damage: list[str]

    def watch(self, streams: Iterable[Stream]) -> Iterator[WatchedStream]:
        """Each readable stream, recognized against its shop."""
        for stream in streams:
            recognizer = StreamRecognizer(self.embedder, self.shelves[stream.shop_id])
            try:
                result = recognizer.watch(stream.video, stream.transcript)
            except MediaError as error:
                self.damage.append(str(error))
                continue
            self.damage.extend(result.damage)
            yield WatchedStream(result, true_products(stream, result), stream)


def true_products(stream: Stream, result: RecognitionResult) -> dict[int, str | None]:
    """The true product of each window that the stream's truth covers, by window."""
    return {
        row: segment.product_id
        for row, time_s in enumerate(result.times_s)
        for segment in stream.timeline
        if segment.start <= time_s < segment.end
    }
