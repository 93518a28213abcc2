"""The work of the encoder process: opens streams, scores windows, draws heatmaps."""

from __future__ import annotations

import io
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from math import inf, isnan
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

from sgmn.catalogue.shelf import Shelf
from sgmn.catalogue.stamp import ModelStamp, require_match
from sgmn.errors import SgmnError
from sgmn.live.evidence import timeline_settings
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.model.runtimes import TORCH
from sgmn.model.scoring import MODALITIES, Modality
from sgmn.records import ImageArray
from sgmn.service.streams.encoder_stream import EncoderStream, WindowRequest, score_windows
from sgmn.service.streams.messages import Message
from sgmn.service.streams.pinned_shelf import read_pinned
from sgmn.service.streams.score_terms import WindowScores

Answer = tuple[dict[str, Any], Sequence[bytes]]
Request = tuple[int, Message]  # the number of the connection, and what it asks
_MAX_SHELVES = 64  # in memory although no stream uses them any more
_ALONE_S = 30.0  # how long windows are scored alone after a batch has failed
_LOG = logging.getLogger("sgmn.service.encoder")


class _OpenedShelf(NamedTuple):
    """The products of a file, with the model that encoded them."""

    shelf: Shelf
    embedder: Embedder


class EncoderJobs:
    """Answers the requests of all streams. One fault never affects another stream.

    Args:
        runtime: What runs the towers of the models.
    """

    def __init__(self, runtime: str = TORCH) -> None:
        self._runtime = runtime
        self._streams: dict[int, EncoderStream] = {}
        self._embedders: dict[str, Embedder] = {}  # by fingerprint
        self._shelves: dict[tuple[str, tuple[Modality, ...]], _OpenedShelf] = {}
        self._alone_until_s = -inf

    @property
    def is_careful(self) -> bool:
        """Whether to pass one request at a time, to find out which one made a batch fail."""
        return monotonic() < self._alone_until_s

    @property
    def stream_count(self) -> int:
        """Number of streams."""
        return len(self._streams)

    def forget(self, number: int) -> None:
        """Forget the stream of a connection."""
        self._streams.pop(number, None)

    def run(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer requests of different connections, in their order."""
        answers: dict[int, Answer] = {}
        windows: dict[int, list[int]] = defaultdict(list)
        for place, (number, message) in enumerate(requests):
            stream = self._streams.get(number)
            if message.type == "window" and stream is not None:
                windows[id(stream.embedder)].append(place)
            else:
                answers[place] = self._answer(number, message)
        for places in windows.values():
            answers.update(self._score([requests[p] for p in places], places))
        return [answers[place] for place in range(len(requests))]

    def _answer(self, number: int, message: Message) -> Answer:
        try:
            if message.type == "open":
                return self._open(number, message.content), ()
            if message.type == "heatmap":
                return self._draw_heatmap(message)
            raise SgmnError(f"cannot answer {message.type!r} now", "the encoder")
        except Exception as error:  # noqa: BLE001 - told to the one who asked
            return _refuse(error)

    def _score(self, requests: Sequence[Request], places: Sequence[int]) -> dict[int, Answer]:
        """Score windows together; if that fails, all streams open again and are scored alone."""
        try:
            streams = [self._streams[number] for number, _ in requests]
            parsed = [_parse_window(message) for _, message in requests]
            scores = score_windows(streams, parsed)
        except Exception as error:  # noqa: BLE001 - told to the one who asked
            if len(requests) == 1:
                self.forget(requests[0][0])
                return {places[0]: _refuse(error)}
            _LOG.warning("%d windows cannot be scored together", len(requests), exc_info=error)
            self._alone_until_s = monotonic() + _ALONE_S
            for number, _ in requests:
                self.forget(number)
            return {place: ({"type": "reopen"}, ()) for place in places}
        return dict(zip(places, map(_pack_scores, scores), strict=True))

    def _open(self, number: int, content: dict[str, Any]) -> dict[str, Any]:
        modalities = tuple(m for m in MODALITIES if m in content["modalities"])
        opened = self._open_shelf(Path(content["shelf"]), modalities)
        stream = EncoderStream(opened.embedder, opened.shelf, modalities)
        self._streams[number] = stream
        return {
            "type": "opened",
            "product_ids": opened.shelf.product_ids,
            "max_side": opened.embedder.max_side,
            "timeline": asdict(timeline_settings(opened.embedder.model)),
            "context_windows": stream.context_windows,
        }

    def _open_shelf(self, path: Path, modalities: tuple[Modality, ...]) -> _OpenedShelf:
        key = (str(path), modalities)
        if key not in self._shelves:
            shelf, stamp = read_pinned(path)
            vectors = shelf.vectors.select_modalities(modalities)
            opened = _OpenedShelf(Shelf(shelf.products, vectors), self._load_model(stamp, path))
            while len(self._shelves) >= _MAX_SHELVES:
                del self._shelves[next(iter(self._shelves))]
            self._shelves[key] = opened
        return self._shelves[key]

    def _load_model(self, stamp: ModelStamp, path: Path) -> Embedder:
        if stamp.fingerprint not in self._embedders:
            embedder = Embedder(checkpoint.load(stamp.name), runtime=self._runtime)
            require_match(stamp, ModelStamp.from_embedder(embedder), path)
            self._embedders[stamp.fingerprint] = embedder
        return self._embedders[stamp.fingerprint]

    def _draw_heatmap(self, message: Message) -> Answer:
        from PIL import Image

        from sgmn.model.explanation import compute_heatmap
        from sgmn.report.heatmap_overlay import overlay_heatmap

        content = message.content
        opened = self._open_shelf(Path(content["shelf"]), MODALITIES)
        image = np.array(Image.open(io.BytesIO(message.parts[0])).convert("RGB"))  # writable
        heatmap = compute_heatmap(opened.embedder, image, content["text"])
        overlay = overlay_heatmap(image, heatmap, (image.shape[1], image.shape[0]))
        output = io.BytesIO()
        overlay.save(output, "PNG")
        return {"type": "drawn", "has_heatmap": heatmap is not None}, (output.getvalue(),)


def _parse_window(message: Message) -> WindowRequest:
    content = message.content
    return WindowRequest(
        frames=range(*content["frames"]),
        first_new=content["first_new"],
        images=_parse_images(content["shapes"], message.parts),
        text=content["text"],
    )


def _pack_scores(scores: WindowScores) -> Answer:
    # JSON has no nan.
    saliency = None if isnan(scores.saliency) else scores.saliency
    content = {"type": "scores", "saliency": saliency}
    return content, (scores.logits.astype("<f4").tobytes(), scores.terms.to_bytes())


def _parse_images(shapes: Sequence[Sequence[int]], parts: Iterable[bytes]) -> list[ImageArray]:
    return [
        np.frombuffer(bytearray(part), np.uint8).reshape(height, width, 3)  # writable
        for (height, width), part in zip(shapes, parts, strict=True)
    ]


def _refuse(error: Exception) -> Answer:
    if not isinstance(error, SgmnError):
        _LOG.error("the encoder cannot answer a request", exc_info=error)
        error = SgmnError(f"{type(error).__name__}: {error}", "the encoder")
    content = {"message": error.message, "where": str(error.where or ""), "remedy": error.remedy}
    return {"type": "refused", **content}, ()
