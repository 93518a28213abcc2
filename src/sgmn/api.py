"""The functions and classes that only the public API has; see `sgmn.__init__`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from sgmn.live.effort import Effort, parse_effort
from sgmn.live.recognizer import RecognitionResult, StreamRecognizer
from sgmn.live.timeline import Belief
from sgmn.media import video
from sgmn.media.content_loader import load_clip_content
from sgmn.media.hardware import find_hardware
from sgmn.media.image import read_image
from sgmn.media.transcript import read_transcript
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import MODALITIES, Modality
from sgmn.records import Clip, ClipContent, ImageArray, ProductContent, Utterance
from sgmn.workflows.loading import ShelfCache, resolve_shop

if TYPE_CHECKING:
    from sgmn.catalogue.index import Index

Vectors = NDArray[np.float32]
ImageSource = str | Path | ImageArray


def load(source: str | Path = "builtin", device: str = "auto", runtime: str = "torch") -> Model:
    """Load a model.

    Args:
        source: "builtin", a checkpoint by its folder or its name on the hub ("user/model"), or a
            backbone by folder or hub name.
        device: A device name of PyTorch; "auto" is the first GPU if there is one, else the CPU.
        runtime: What runs the image and text towers on the CPU: "torch", "openvino",
            "openvino-bf16", "onnx", or "auto", the fastest that is installed.

    Raises:
        CheckpointError: The model cannot be loaded.
        SettingsError: The device does not exist, or the runtime is not installed.

    Example:
        >>> model = load("small")
        >>> model.encode_text("a red mug").shape == (model.dim,)
        True
    """
    return Model(Embedder(checkpoint.load(source), device, runtime=runtime))


class Model:
    """Encodes images, texts, clips and products as NumPy vectors of one space.

    All vectors are float32 and have length 1, so a dot product is a cosine. A vector is 0 where
    there is nothing to encode. The full score of a clip and a product has more terms than these
    cosines; `Index.search` and `watch` use all of them.

    Example:
        >>> import numpy as np
        >>> model = load("small")
        >>> image = np.zeros((64, 64, 3), np.uint8)
        >>> clip = model.encode_clip([image, image], "this mug is red")
        >>> product = model.encode_product([image], "Red mug")
        >>> bool(-1.01 < clip @ product < 1.01)
        True
    """

    def __init__(self, embedder: Embedder) -> None:
        self.embedder = embedder

    @property
    def name(self) -> str:
        """The folder or name from which the model was loaded."""
        return self.embedder.model.name

    @property
    def dim(self) -> int:
        """The number D of dimensions of all vectors."""
        return self.embedder.dim

    @property
    def fingerprint(self) -> str:
        """Sixteen hex digits that identify weights and settings; an index stores them."""
        return self.embedder.model.fingerprint()

    def encode_image(self, images: ImageSource | Sequence[ImageSource]) -> Vectors:
        """Encode one image or several.

        Args:
            images: Files, or pixels (H, W, 3) as uint8 RGB; one or a sequence of them.

        Returns:
            (D,) for one image, (N, D) for a sequence.

        Raises:
            MediaError: A file cannot be read.
        """
        if isinstance(images, str | Path | np.ndarray):
            return _only(self.encode_image([images]))
        decoded = [self._read(image) for image in images]
        return _to_vectors(self.embedder.encode_images(decoded).pooled)

    def encode_text(self, texts: str | Sequence[str]) -> Vectors:
        """Encode one text or several: (D,) or (N, D). An empty text has the vector 0."""
        if isinstance(texts, str):
            return _only(self.encode_text([texts]))
        return _to_vectors(self.embedder.encode_texts(list(texts)).pooled)

    def encode_clip(self, clip: str | Path | Sequence[ImageSource], text: str = "") -> Vectors:
        """Encode what a clip shows, guided by what is said in it.

        Args:
            clip: A video, of which ten frames are used, or its frames in order.
            text: What is said. Without it the frames are encoded alone.

        Returns:
            (D,) the vector of the frames.

        Raises:
            MediaError: The video or a frame cannot be read.
        """
        if isinstance(clip, str | Path):
            record = Clip("clip", video=Path(clip))
            frames = load_clip_content(record, max_side=self.embedder.max_side).frames
        else:
            frames = tuple(self._read(frame) for frame in clip)
        return _only(_to_vectors(self.embedder.encode_clips([ClipContent(frames, text)]).image))

    def encode_product(self, images: Sequence[ImageSource], title: str = "") -> Vectors:
        """Encode a product's images, weighed by its title: (D,).

        Raises MediaError if an image cannot be read.
        """
        content = ProductContent(tuple(self._read(image) for image in images), title)
        return _only(_to_vectors(self.embedder.encode_products([content]).image))

    def _read(self, image: ImageSource) -> ImageArray:
        if isinstance(image, str | Path):
            return read_image(Path(image), self.embedder.max_side)
        return image


def watch(
    source: str | Path,
    index: Index,
    transcript: str | Path | Sequence[Utterance] | None = None,
    *,
    shop_id: str | None = None,
    modalities: Sequence[Modality] = MODALITIES,
    effort: Effort = "adaptive",
    hwaccel: str = "none",
    progress: Callable[[Belief], None] | None = None,
) -> RecognitionResult:
    """Watch a recording: which product is on sale, from when to when.

    For a stream that is still running use `LiveSource` and `Session`.

    Args:
        source: A video file, or a folder of frames.
        index: The catalogue; its model encodes the stream.
        transcript: What is said: a file (SRT, WebVTT, JSON, plain text) or utterances.
            Without it, images alone decide.
        shop_id: The shop of the stream. Required if the index has several shops.
        modalities: Which modalities to use.
        effort: "exact" decodes all frames; "adaptive" only key frames where these leave no doubt.
        hwaccel: What decodes: "none" (the CPU), "auto", or a hardware decoder such as "cuda".
        progress: Called with the current belief after each window of the stream.

    Returns:
        The segments, and the evidence: moments in seconds, and logits per window and product.

    Raises:
        MediaError: The video or the transcript cannot be read.
        IndexingError: The shop is not in the index, or the model of the index is missing.
        SettingsError: The effort does not exist, or the hardware decoder cannot be opened.

    Example:
        >>> index = sgmn.Index.open("shop.index")  # doctest: +SKIP
        >>> sgmn.watch("stream.mp4", index, "stream.srt").segments  # doctest: +SKIP
    """
    shelf = ShelfCache(index, modalities)[resolve_shop(index, shop_id)]
    choice, decoder = parse_effort(effort), find_hardware(hwaccel).decoder
    recognizer = StreamRecognizer(
        index.embedder, shelf, modalities=tuple(modalities), effort=choice, hardware=decoder
    )
    utterances = _read_utterances(transcript, Path(source))
    return recognizer.watch(Path(source), utterances, progress or (lambda belief: None))


def _read_utterances(
    transcript: str | Path | Sequence[Utterance] | None, source: Path
) -> Sequence[Utterance]:
    if transcript is None:
        return ()
    if isinstance(transcript, str | Path):
        return read_transcript(Path(transcript), lambda: video.read_duration(source))
    return transcript


def _to_vectors(tensor: Tensor) -> Vectors:
    array: Vectors = tensor.float().numpy()
    return array


def _only(vectors: Vectors) -> Vectors:
    row: Vectors = vectors[0]
    return row
