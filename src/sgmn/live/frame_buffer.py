"""The encoded frames of a stream, for as long as later windows may need them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sgmn.media.frame import Frame
from sgmn.media.live_source import LiveFrame
from sgmn.model.embedder import Embedder
from sgmn.model.glance import EncodedFrames
from sgmn.records import ImageArray


class FrameBuffer:
    """Encodes each frame of a stream once and keeps it until no window needs it any more.

    Frames are numbered from the first of the stream. Their pixels are kept only until they are
    encoded, unless the model takes second glances.

    Args:
        embedder: Encodes the frames.
        frames: The frames in order; they are read as `frame_times_s` is iterated.
    """

    def __init__(self, embedder: Embedder, frames: Iterable[Frame | LiveFrame]) -> None:
        self._embedder, self._frames = embedder, frames
        self._unencoded: list[ImageArray] = []
        self._encoded = embedder.encode_frames([])
        self._discarded = 0
        self._last_s = 0.0

    @property
    def frame_count(self) -> int:
        """Number of frames that have been read."""
        return self._discarded + len(self._encoded) + len(self._unencoded)

    @property
    def last_s(self) -> float:
        """Time of the last frame that has been read, in seconds."""
        return self._last_s

    def frame_times_s(self) -> Iterator[float]:
        """Read the frames and yield their times."""
        for frame in self._frames:
            self._unencoded.append(frame.rgb)
            self._last_s = frame.time_s
            yield frame.time_s

    def __getitem__(self, frames: range) -> EncodedFrames:
        """Return the encoded frames that have not been discarded."""
        if frames.stop > self._discarded + len(self._encoded) and self._unencoded:
            new = self._embedder.encode_frames(self._unencoded)
            self._encoded = EncodedFrames.cat([self._encoded, new])
            self._unencoded.clear()
        start, stop = (max(0, number - self._discarded) for number in (frames.start, frames.stop))
        return self._encoded[start:stop]

    def discard_before(self, number: int) -> None:
        """Discard the frames before a number; windows never go back."""
        buffered = self.frame_count - self._discarded
        count = min(max(0, number - self._discarded), buffered)
        # Frames are never encoded where only the text counts.
        unencoded = max(0, count - len(self._encoded))
        del self._unencoded[:unencoded]
        self._encoded = self._encoded[count - unencoded :].clone()
        self._discarded += count
