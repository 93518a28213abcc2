"""Details of recognized segments: key frames, alternatives, transcript and confidence."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sgmn.live.evidence import TimelineSettings
from sgmn.live.recognizer import RecognitionResult
from sgmn.live.timeline import decode_segments
from sgmn.records import Utterance
from sgmn.report.html import WatchReport, render_html
from sgmn.report.segment_details import (
    build_segment_details,
    read_key_frame,
    window_confidence,
)

SETTINGS = TimelineSettings(nothing_threshold=0.0)
IDS = ("p0", "p3", "p5")
UTTERANCES = (Utterance(1, 4, "first words"), Utterance(30, 33, "later words"))


def build_result(most_confident_s: float = 27.0) -> RecognitionResult:
    """Return the result for the stream that shows p0 and, from 20 s on, p3."""
    times = np.arange(1.0, 40.0, 2.0)
    scores = np.zeros((20, 3))
    scores[:10, 0] = scores[10:, 1] = 3.0
    scores[:, 2] = 1.0
    scores[times == most_confident_s, 1] = 5.0
    segments = decode_segments(times, scores, IDS, SETTINGS, (0.0, 40.0))
    assert [s.product_id for s in segments] == ["p0", "p3"]
    return RecognitionResult(segments, 40.0, times, scores, IDS)


def test_details_contain_the_most_confident_frame_and_the_transcript(
    stream: Path,
) -> None:
    first, second = build_segment_details(
        build_result(), stream / "streams" / "s.mp4", UTTERANCES, SETTINGS
    )
    assert first.transcript == "first words" and second.transcript == "later words"
    assert first.frame and second.frame and second.frame.time_s == 27.0
    images = [Image.open(io.BytesIO(frame.jpeg)) for frame in (first.frame, second.frame)]
    means = [np.asarray(image).mean((0, 1)) for image in images]
    assert means[0] == pytest.approx((200, 30, 30), abs=15)
    assert means[1] == pytest.approx((200, 90, 90), abs=15)


def test_alternatives_have_the_remaining_probability(stream: Path) -> None:
    first, _ = build_segment_details(
        build_result(), stream / "streams" / "s.mp4", settings=SETTINGS
    )
    names = [name for name, _ in first.alternatives]
    assert names[0] == first.segment.runner_up == "p5" and "p0" not in names
    assert len(set(names)) == len(names) == 3 and None in names
    total = first.segment.confidence + sum(share for _, share in first.alternatives)
    assert total == pytest.approx(1.0)


def test_time_with_nothing_on_sale_has_details_too(stream: Path) -> None:
    settings = TimelineSettings(switch_cost=1.0, nothing_threshold=0.5)
    result = build_result()
    scores = np.vstack([result.scores[:10] * 3, np.zeros((10, 3))])
    segments = decode_segments(result.times_s, scores, IDS, settings, (0.0, 40.0))
    assert [s.product_id for s in segments] == ["p0", None]
    idle = replace(result, segments=segments, scores=scores)
    second = build_segment_details(idle, stream / "streams" / "s.mp4", UTTERANCES, settings)[1]
    assert (
        None not in [name for name, _ in second.alternatives] and second.transcript == "later words"
    )
    assert second.segment.confidence + sum(
        share for _, share in second.alternatives
    ) == pytest.approx(1)
    assert (window_confidence(idle, settings)[10:] > 0.5).all()


def test_window_confidence_uses_each_window_alone(stream: Path) -> None:
    shares = window_confidence(build_result(), SETTINGS)
    usual = np.exp(3) / np.exp([3, 1, 0]).sum()
    assert shares[0] == pytest.approx(usual) and shares[-1] == pytest.approx(usual)
    assert shares.argmax() == 13  # 27 s
    assert shares.shape == (20,) and shares[13] == pytest.approx(
        np.exp(5) / np.exp([5, 1, 0]).sum()
    )


def test_key_frames_are_small_and_within_reach(tmp_path: Path) -> None:
    for number in range(4):
        Image.new("RGB", (960, 640), (60 * number, 0, 0)).save(tmp_path / f"{number}.png")
    frame = read_key_frame(tmp_path, 1.5, 5.0)
    assert frame and frame.time_s == 2.0 and frame.heatmap is None
    assert Image.open(io.BytesIO(frame.jpeg)).size == (480, 320)
    last = read_key_frame(tmp_path, 6.0, 5.0)
    assert last and last.time_s == 3.0
    assert read_key_frame(tmp_path, 20.0, 5.0) is None
    assert read_key_frame(tmp_path / "none.mp4", 2.0, 5.0) is None


def test_heatmaps_are_computed_with_the_text_around_the_frame(stream: Path) -> None:
    texts = []

    def uniform_heatmap(image: Any, /, text: str) -> Any:
        texts.append(text)
        return np.ones(image.shape[:2])

    made = build_segment_details(
        build_result(), stream / "streams" / "s.mp4", UTTERANCES, SETTINGS, uniform_heatmap
    )
    assert texts[0] == "first words" and texts[1].startswith("later")
    for details in made:
        assert details.frame and details.frame.heatmap is not None
        width, height = Image.open(io.BytesIO(details.frame.jpeg)).size
        assert details.frame.heatmap.shape == (height, width)


def test_the_page_shows_the_details(stream: Path) -> None:
    result = build_result()
    report = WatchReport(
        name="s.mp4",
        duration_s=result.duration_s,
        facts={},
        details=build_segment_details(result, stream / "streams" / "s.mp4", UTTERANCES, SETTINGS),
        titles={},
        product_images={},
        times_s=result.times_s,
        confidence=window_confidence(result),
    )
    text = render_html(report)
    assert "Most confident at 0:27" in text and "later words" in text
