"""What the encoder process keeps of one stream: its recent encoded frames, and its neighbors."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from sgmn.catalogue.shelf import Shelf
from sgmn.errors import SgmnError
from sgmn.live.recognizer import CONTEXT_WINDOWS, read_saliency
from sgmn.live.stream_graph import StreamGraph
from sgmn.model.contributions import split_score
from sgmn.model.embedder import Embedder
from sgmn.model.glance import EncodedFrames
from sgmn.model.scoring import ClipVectors, Modality, compute_terms
from sgmn.records import ImageArray
from sgmn.service.streams.score_terms import (
    EXPLAINED_PRODUCTS,
    TERM_NAMES,
    ScoreTerms,
    WindowScores,
    rank,
)


@dataclass(frozen=True, slots=True, eq=False)
class WindowRequest:
    """A window to be scored.

    Attributes:
        frames: Numbers of its frames in the stream.
        first_new: Number of the first frame in `images`.
        images: Frames (H, W, 3) that the encoder does not have yet, in order. With them it has
            all of `frames`.
        text: What was said.
    """

    frames: range
    first_new: int
    images: Sequence[ImageArray]
    text: str


class EncoderStream:
    """One stream in the encoder process.

    Args:
        embedder: Encodes frames and text.
        shelf: The products; its vectors hold the modalities in use.
        modalities: The modalities that are compared.
    """

    def __init__(self, embedder: Embedder, shelf: Shelf, modalities: Sequence[Modality]) -> None:
        self.embedder, self._shelf, self._modalities = embedder, shelf, tuple(modalities)
        self._frames = embedder.encode_frames([])
        self._first = 0  # number of the first frame in `_frames`
        self._graph = StreamGraph(embedder.ranker, CONTEXT_WINDOWS, windows_after=0)
        self._pending: deque[ClipVectors] = deque()
        self._graph_scores = self._graph.scores(self._take_pending(), shelf.vectors)

    @property
    def context_windows(self) -> int:
        """How many earlier windows influence the next one."""
        return CONTEXT_WINDOWS if self._graph.is_active else 0

    def wanted_images(self, request: WindowRequest) -> Sequence[ImageArray]:
        """Return the images of a request that have to be encoded.

        Raises SgmnError for a frame that the encoder has already.
        """
        end = self._first + len(self._frames)
        if len(self._frames) and request.first_new < end:
            message = f"got frame {request.first_new} again, after {end - 1}"
            raise SgmnError(message, "the encoder", "connect again")
        return request.images if "image" in self._modalities else ()

    def add_frames(self, request: WindowRequest, new_frames: EncodedFrames) -> EncodedFrames:
        """Add the encoded new frames of a request and return those of its window."""
        if request.first_new > self._first + len(self._frames):
            # No window needs those before: their stream has left out some frames since.
            self._frames, self._first = self._frames[:0], request.first_new
        self._frames = EncodedFrames.cat([self._frames, new_frames])
        start, stop = (max(0, n - self._first) for n in (request.frames.start, request.frames.stop))
        window = self._frames[start:stop]
        # Windows never go back; a copy lets go of the memory of the frames before.
        self._first += min(start, len(self._frames))
        self._frames = self._frames[start:].clone()
        return window

    def text_of(self, request: WindowRequest) -> str:
        """Return the text of a request, if text is compared."""
        return request.text if "text" in self._modalities else ""

    def score(self, clips: ClipVectors) -> WindowScores:
        """Return the scores of the next window from its vectors (1, …)."""
        ranker = self.embedder.ranker
        if self._graph.is_active:
            self._pending.append(clips)
            scores = next(self._graph_scores)
        else:
            scores = self._shelf.scores(clips, ranker)[0]
        logits = np.asarray((scores * ranker.weights.logit_scale).float().numpy())
        terms = self._explain(clips, rank(logits, EXPLAINED_PRODUCTS))
        return WindowScores(logits, terms, read_saliency(clips)[0])

    @torch.inference_mode()
    def _explain(self, clips: ClipVectors, places: Sequence[int]) -> ScoreTerms:
        """Return the terms of the scores of a window (1, …) with the products at some places.

        They are the best ones, so a second pass has scored them.
        """
        ranker = self.embedder.ranker
        weights = ranker.first_pass_weights if ranker.parts is None else ranker.weights
        terms = split_score(compute_terms(clips, self._shelf.vectors[list(places)], weights))
        names = tuple(name for name in TERM_NAMES if name in terms)
        columns = [(terms[name][0] * weights.logit_scale).tolist() for name in names]
        return ScoreTerms(names, tuple(zip(*columns, strict=True)))

    def _take_pending(self) -> Iterator[ClipVectors]:
        while True:  # asked for one window at a time, after it was added
            yield self._pending.popleft()


def score_windows(
    streams: Sequence[EncoderStream], requests: Sequence[WindowRequest]
) -> list[WindowScores]:
    """Score one window of each of several streams of one embedder together."""
    embedder = streams[0].embedder
    images = [s.wanted_images(r) for s, r in zip(streams, requests, strict=True)]
    encoded = embedder.encode_frames([image for some in images for image in some])
    frames, position = [], 0
    for stream, request, some in zip(streams, requests, images, strict=True):
        frames.append(stream.add_frames(request, encoded[position : position + len(some)]))
        position += len(some)
    texts = [s.text_of(r) for s, r in zip(streams, requests, strict=True)]
    clips = embedder.encode_windows(frames, texts)
    return [stream.score(clips[[row]]) for row, stream in enumerate(streams)]
