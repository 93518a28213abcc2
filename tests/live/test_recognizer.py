"""A recording through windows, embedder, shelf and timeline; each frame is encoded once."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from sgmn.catalogue import feed
from sgmn.catalogue.shelf import Shelf
from sgmn.errors import MediaError
from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.timeline import Belief
from sgmn.media import content_loader, transcript, video
from sgmn.model.embedder import Embedder
from sgmn.model.tokens import ImageTokens
from sgmn.records import ClipContent, ImageArray
from tests.media.footage import frame_times, write_video

SETTINGS = TimelineSettings(nothing_threshold=0.0, switch_cost=1.0)


class CountingEmbedder(Embedder):
    """Counts the images that it encodes."""

    image_count = 0

    def encode_images(
        self, images: Sequence[ImageArray], *, compares_patches: bool = False
    ) -> ImageTokens:
        self.image_count += len(images)
        return super().encode_images(images, compares_patches=compares_patches)


@pytest.fixture
def embedder(tiny: Callable[[], Any]) -> CountingEmbedder:
    return CountingEmbedder(tiny())


@pytest.fixture
def recognizer(world: Path, embedder: CountingEmbedder) -> StreamRecognizer:
    """Distinguish colors without training: the image tower returns mean colors."""
    towers = embedder.network.towers

    def encode_mean_color(pixels: Tensor) -> Any:
        from sgmn.model.towers import ImageEncoding

        colors = torch.nn.functional.pad(pixels.mean((2, 3)), (0, 29))
        return ImageEncoding.of_patches(colors, colors[:, None], (1, 1))

    towers.encode_image = encode_mean_color  # type: ignore[method-assign]
    with torch.no_grad():
        embedder.network.head.log_logit_scale.fill_(4.6)
    products = feed.read_feed(world).products
    shelf = Shelf(
        products,
        embedder.encode_products([content_loader.load_product_content(p) for p in products]),
    )
    return StreamRecognizer(embedder, shelf, SETTINGS, ("image",))


def test_products_are_found_where_they_are_shown(
    recognizer: StreamRecognizer, embedder: CountingEmbedder, stream: Path
) -> None:
    embedder.image_count = 0
    beliefs: list[Belief] = []
    result = recognizer.watch(stream / "streams" / "s.mp4", on_belief=beliefs.append)
    assert [s.product_id for s in result.segments] == ["p0", "p3"]
    assert result.segments[0].end == pytest.approx(20, abs=2)
    assert result.segments[-1].end == result.duration_s == pytest.approx(40, abs=0.6)
    assert result.scores.shape == (len(result.times_s), 6) and len(beliefs) == len(result.times_s)
    assert beliefs[2].product_id == "p0" and beliefs[-1].product_id == "p3"
    assert embedder.image_count == 40  # one per second, however many windows share it


def test_windows_score_like_clips_of_the_same_frames(
    recognizer: StreamRecognizer, stream: Path
) -> None:
    path = stream / "streams" / "s.mp4"
    result = recognizer.watch(path)
    frames = [frame.rgb for frame in video.read_frames(path, max_side=32)]
    clip = recognizer.embedder.encode_clips([ClipContent(tuple(frames[16:26]))])
    ranker = recognizer.embedder.ranker
    expected = recognizer.shelf.scores(clip, ranker)[0] * ranker.weights.logit_scale
    window = int((abs(result.times_s - 21)).argmin())
    assert result.times_s[window] == 21
    torch.testing.assert_close(
        torch.tensor(result.scores[window]), expected.double(), atol=1e-3, rtol=0
    )


def test_utterances_count_in_the_windows_that_contain_them(
    recognizer: StreamRecognizer, stream: Path
) -> None:
    text_recognizer = StreamRecognizer(recognizer.embedder, recognizer.shelf, SETTINGS, ("text",))
    utterances = transcript.read_transcript(stream / "transcript.json")
    result = text_recognizer.watch(stream / "streams" / "s.mp4", utterances)
    silent = result.scores[result.times_s > 31]
    assert (silent == silent[:, :1]).all()  # no speech and no images: no product stands out
    assert result.scores[result.times_s < 5].std(axis=1).min() > 0


def test_a_truncated_recording_is_recognized_up_to_its_end(
    recognizer: StreamRecognizer, stream: Path, tmp_path: Path
) -> None:
    whole = (stream / "streams" / "s.mp4").read_bytes()
    path = tmp_path / "cut.ts"
    _remux(stream / "streams" / "s.mp4", path)
    path.write_bytes(path.read_bytes()[: len(whole) // 2])
    result = recognizer.watch(path)
    assert result.segments[0].product_id == "p0"
    assert 2 < result.duration_s < 40


def test_a_false_duration_in_the_header_is_ignored(
    recognizer: StreamRecognizer, stream: Path, tmp_path: Path
) -> None:
    path = tmp_path / "false.mkv"
    _remux(stream / "streams" / "s.mp4", path)
    raw = path.read_bytes()
    offset = raw.index(b"\x44\x89\x88") + 3  # EBML: Duration, of 8 bytes, in milliseconds
    assert struct.unpack(">d", raw[offset : offset + 8])[0] == pytest.approx(40_000, abs=600)
    path.write_bytes(raw[:offset] + struct.pack(">d", 1e10) + raw[offset + 8 :])
    assert video.read_duration(path) == 1e7
    result = recognizer.watch(path)
    assert result.duration_s == pytest.approx(40, abs=1) and len(result.times_s) == 20
    (line,) = result.damage
    assert "its video ends at 40.0 s of 10000000.0 s" in line


def test_audio_much_longer_than_the_video_is_reported(
    recognizer: StreamRecognizer, tmp_path: Path
) -> None:
    path = write_video(tmp_path / "a.mp4", frame_times(6), audio_start_s=0.0, audio_duration_s=40.0)
    result = recognizer.watch(path)
    assert result.duration_s == pytest.approx(6, abs=1)
    (line,) = result.damage
    assert "a.mp4: its frames end soon after 5 s, not at 40 s as stated" in line


def test_a_folder_of_frames_is_recognized_like_a_video(
    recognizer: StreamRecognizer, stream: Path, tmp_path: Path
) -> None:
    path = stream / "streams" / "s.mp4"
    for number, frame in enumerate(video.read_frames(path)):
        Image.fromarray(frame.rgb).save(tmp_path / f"{number}.png")
    from_video, result = recognizer.watch(path), recognizer.watch(tmp_path)
    assert [s.product_id for s in result.segments] == [s.product_id for s in from_video.segments]
    assert result.duration_s == 40.0 and result.damage == ()
    assert result.scores.shape == from_video.scores.shape


def _remux(source: Path, target: Path) -> None:
    import av

    with av.open(source) as input_file, av.open(target, "w") as output_file:
        track = output_file.add_stream_from_template(input_file.streams.video[0])
        for packet in input_file.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                output_file.mux(packet)


def test_a_file_that_is_no_video_is_rejected(recognizer: StreamRecognizer, tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"this is no video")
    with pytest.raises(MediaError, match=r"a\.mp4"):
        recognizer.watch(tmp_path / "a.mp4")
