"""The worker's side of the encoder process: scores windows, and survives its restarts."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np

from sgmn.errors import SgmnError
from sgmn.live.presence import UNKNOWN
from sgmn.live.windows import Window
from sgmn.records import ImageArray
from sgmn.service.streams.messages import ConnectionLost, Message, MessageSocket
from sgmn.service.streams.score_terms import ScoreTerms, WindowScores

_RETRY_S = 0.25  # pause between attempts to connect
_ANSWER_TIMEOUT_S = 120.0  # of a window, behind those of all other streams
_OPEN_TIMEOUT_S = 300.0  # the first stream waits until the model is loaded


class StoppedError(Exception):
    """The session was stopped while it waited for the encoder."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What the encoder knows about a stream.

    Attributes:
        product_ids: The products, in the order of the logits.
        max_side: Longer side in pixels beyond which a larger frame makes no difference.
        timeline: The timeline settings of the model.
        context_windows: How many earlier windows influence the next one.
    """

    product_ids: tuple[str, ...]
    max_side: int
    timeline: dict[str, Any]
    context_windows: int


def draw_heatmap(
    encoder: Path, shelf: Path, jpeg: bytes, text: str, timeout_s: float
) -> tuple[bytes, bool]:
    """Return a frame with its heatmap as PNG, and whether the model has heatmaps.

    Raises:
        SgmnError: The encoder cannot draw it.
        ConnectionLost: The encoder is not there.
        TimeoutError: It does not answer in time.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout_s)
        try:
            connection.connect(str(encoder))
        except OSError as error:
            raise ConnectionLost("the encoder is not there") from error
        messages = MessageSocket(connection)
        messages.send({"type": "heatmap", "shelf": str(shelf), "text": text}, [jpeg])
        answer = _require_answer(messages.receive())
    return answer.parts[0], bool(answer.content["has_heatmap"])


def _require_answer(answer: Message) -> Message:
    if answer.type == "refused":
        content = answer.content
        raise SgmnError(content["message"], content["where"] or None, content["remedy"])
    return answer


class FrameStore:
    """The pixels of recent frames, by their number in the stream."""

    def __init__(self) -> None:
        self._images: deque[ImageArray] = deque()
        self._first = 0

    @property
    def end(self) -> int:
        """The number of the next frame."""
        return self._first + len(self._images)

    def add(self, image: ImageArray) -> None:
        """Add the next frame."""
        self._images.append(image)

    def skip(self) -> None:
        """Count a frame that no window needs, before the first that one does."""
        self._first += 1

    def since(self, number: int) -> tuple[int, list[ImageArray]]:
        """Return the frames from a number on, and the number of the first of them."""
        first = max(number, self._first)
        return first, [self._images[i - self._first] for i in range(first, self.end)]

    def discard_before(self, number: int) -> None:
        """Discard earlier frames."""
        while self._images and self._first < number:
            self._images.popleft()
            self._first += 1


class EncoderClient:
    """Scores the windows of one stream in the encoder process.

    If the encoder dies, it is connected again, and gets the frames that it needs once more.

    Args:
        path: The local socket of the encoder.
        shelf: The file of the products.
        modalities: The modalities that are compared.
        stop_event: Ends waiting.
        on_lost: Called with the reason when the encoder is gone.
        on_back: Called when it is back.
    """

    def __init__(
        self,
        path: Path,
        shelf: Path,
        modalities: Sequence[str],
        stop_event: Event,
        on_lost: Callable[[str], None] = lambda reason: None,
        on_back: Callable[[], None] = lambda: None,
    ) -> None:
        self.frames = FrameStore()
        self._path, self._stop_event = path, stop_event
        self._on_lost, self._on_back = on_lost, on_back
        self._request = {"type": "open", "shelf": str(shelf), "modalities": list(modalities)}
        self._socket: MessageSocket | None = None
        self._sent = 0  # frames before this number are with the encoder
        self._context: deque[Window] = deque(maxlen=0)

    def open(self) -> StreamInfo:
        """Connect and open the stream.

        Raises:
            SgmnError: The encoder cannot open it.
            StoppedError: `stop_event` was set meanwhile.
        """
        answer = self._connect()
        info = StreamInfo(
            tuple(answer["product_ids"]),
            answer["max_side"],
            answer["timeline"],
            answer["context_windows"],
        )
        self._context = deque(self._context, maxlen=info.context_windows)
        return info

    def score(self, window: Window) -> WindowScores:
        """Return the scores of the next window; waits for the encoder as long as it takes.

        Raises SgmnError and StoppedError, as `open` does.
        """
        while True:
            try:
                scores = self._ask(window)
                break
            except (ConnectionLost, TimeoutError) as error:
                self._on_lost(str(error) or "no answer in time")
                self._reopen()
        self._context.append(window)
        self.frames.discard_before((self._context[0] if self._context else window).frames.start)
        return scores

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ask(self, window: Window) -> WindowScores:
        if self._socket is None:
            raise ConnectionLost("not connected")
        first_new, images = self.frames.since(self._sent)
        content = {
            "type": "window",
            "frames": [window.frames.start, window.frames.stop],
            "first_new": first_new,
            "shapes": [image.shape[:2] for image in images],
            "text": window.text,
        }
        self._socket.send(content, [image.tobytes() for image in images])
        answer = self._receive()
        self._sent = self.frames.end
        if answer.type == "reopen":
            raise ConnectionLost("the encoder starts this stream again")
        logits = np.frombuffer(answer.parts[0], "<f4").astype(np.float32)
        saliency = answer.content["saliency"]
        terms = ScoreTerms.read(answer.parts[1])[0]
        return WindowScores(logits, terms, UNKNOWN if saliency is None else saliency)

    def _reopen(self) -> None:
        """Connect again, and repeat the windows that influence the next one."""
        while True:
            try:
                self._connect()
                for window in self._context:
                    self._ask(window)
                self._on_back()
                return
            except (ConnectionLost, TimeoutError):
                self._wait()

    def _connect(self) -> dict[str, Any]:
        while True:
            self.close()
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.settimeout(_OPEN_TIMEOUT_S)
                connection.connect(str(self._path))
                self._socket, self._sent = MessageSocket(connection), 0
                self._socket.send(self._request)
                answer = self._receive()
                connection.settimeout(_ANSWER_TIMEOUT_S)
                return answer.content
            except (ConnectionLost, OSError):
                connection.close()
                self._wait()

    def _receive(self) -> Message:
        assert self._socket is not None
        return _require_answer(self._socket.receive())

    def _wait(self) -> None:
        if self._stop_event.wait(_RETRY_S):
            raise StoppedError
