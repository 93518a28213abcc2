"""Adaptive decoding: key frames first, and where they leave doubt the evidence of all frames."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from sgmn.errors import MediaError
from sgmn.live.adaptive import AdaptiveScoring
from sgmn.live.effort import DecodingReport, choose_windows, find_doubt, parse_effort
from sgmn.live.evidence import compute_evidence
from sgmn.live.presence import ScoredWindow, compute_presence
from sgmn.live.recognizer import RecognitionResult, StreamRecognizer
from sgmn.live.recording import PREFETCH_BATCHES, PREFETCH_FRAMES, RecordingScorer
from sgmn.live.windows import Window, cut_windows
from sgmn.media import video
from sgmn.media.frame import Frame
from sgmn.model.glance import EncodedFrames
from sgmn.records import ImageArray
from tests.live.color_streams import SETTINGS, ColorEmbedder, build_recognizer, color_sequence
from tests.live.color_videos import write_color_video

COLORS = color_sequence(("red", 30), ("blue", 31), ("green", 29))


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ninety seconds of three colors, with a key frame every two seconds."""
    return write_color_video(tmp_path_factory.mktemp("colors") / "a.mp4", COLORS)


def recognizer(embedder: ColorEmbedder | None = None, effort: str = "adaptive") -> StreamRecognizer:
    return replace(build_recognizer(embedder or ColorEmbedder()), effort=parse_effort(effort))


def watch_both(path: Path) -> tuple[RecognitionResult, RecognitionResult]:
    """Watch a recording adaptively and exactly."""
    return recognizer().watch(path), recognizer(effort="exact").watch(path)


def test_the_timeline_is_found_with_fewer_frames(recording: Path) -> None:
    embedder = ColorEmbedder()
    result = recognizer(embedder).watch(recording)
    assert [s.product_id for s in result.segments] == ["red", "blue", "green"]
    assert [s.end for s in result.segments] == pytest.approx([30, 61, 90], abs=2)
    assert result.decoding.effort == "adaptive" and 0 < result.decoding.dense_share < 0.4
    assert 45 < embedder.image_count < 85  # of 90


def test_windows_in_doubt_have_the_evidence_of_all_frames(recording: Path) -> None:
    adaptive, exact = watch_both(recording)
    np.testing.assert_array_equal(adaptive.times_s, exact.times_s)
    same = abs(adaptive.scores - exact.scores).max(axis=1) < 1e-6
    assert same.mean() == pytest.approx(adaptive.decoding.dense_share)
    changes = np.isin(exact.times_s, [29, 31, 61])
    assert same[changes].all() and not same.all()


@pytest.mark.parametrize(
    "spans", [[(0, 1)], [(0, 9)], [(0, 45)], [(20, 27), (30, 31), (40, 45)], [(3, 5), (5, 7)]]
)
def test_any_spans_are_scored_as_in_the_whole_recording(
    recording: Path, spans: list[tuple[int, int]]
) -> None:
    scorer = RecordingScorer(recognizer(effort="exact"), recording)
    exact = list(scorer.scores())
    times_s = [frame.time_s for frame in video.read_frames(recording)]
    windows = list(cut_windows(times_s, (), SETTINGS.window_s, SETTINGS.hop_s, duration_s=90.0))
    runs = list(scorer.score_densely([windows[slice(*span)] for span in spans]))
    assert [len(run) for run in runs] == [stop - start for start, stop in spans]
    expected = [one for span in spans for one in exact[slice(*span)]]
    for one, other in zip(chain.from_iterable(runs), expected, strict=True):
        np.testing.assert_allclose(one.logits, other.logits, atol=1e-6)
        assert one.saliency == pytest.approx(other.saliency)
        assert len(one.window.frames) == len(other.window.frames)


def test_a_span_without_frames_has_no_evidence_and_does_not_shift_the_next(tmp_path: Path) -> None:
    times_s = [t / 5 for t in range(450) if not 200 <= t < 350]
    path = write_color_video(tmp_path / "a.mp4", COLORS, 2.0, times_s)
    windows = list(cut_windows(range(90), (), SETTINGS.window_s, SETTINGS.hop_s, duration_s=90.0))
    gap = [w for w in windows if w.start_s > 42 and w.end_s < 66]
    empty, after = RecordingScorer(recognizer(), path).score_densely([gap, windows[40:42]])
    exact = list(RecordingScorer(recognizer(effort="exact"), path).scores())[40:42]
    assert gap and all(not one.window.frames and not one.logits.any() for one in empty)
    assert [one.logits.argmax() for one in after] == [one.logits.argmax() for one in exact]
    assert all(len(one.window.frames) == 6 for one in after)


class WaitingEmbedder(ColorEmbedder):
    """Encodes nothing before the second span is being decoded."""

    def __init__(self) -> None:
        super().__init__()
        self.second_starts = Event()

    def encode_frames(self, frames: Sequence[ImageArray]) -> EncodedFrames:
        assert self.second_starts.wait(60)
        return super().encode_frames(frames)


def test_the_next_span_is_decoded_while_one_is_encoded(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedder, decode = WaitingEmbedder(), video.read_frames
    scorer = RecordingScorer(recognizer(embedder), recording)
    windows = list(cut_windows(range(90), (), SETTINGS.window_s, SETTINGS.hop_s, duration_s=90.0))
    decoded: list[float] = []

    def note(*arguments: Any, start_s: float, **options: Any) -> Iterator[Frame]:
        if start_s == windows[20].start_s:
            embedder.second_starts.set()
        for frame in decode(*arguments, start_s=start_s, **options):
            decoded.append(frame.time_s)
            yield frame

    monkeypatch.setattr(video, "read_frames", note)
    with closing(scorer.score_densely([windows[:2], windows[20:22], windows[:45]])) as runs:
        assert len(next(runs)) == 2
        assert len(decoded) <= 8 + PREFETCH_FRAMES * (PREFETCH_BATCHES + 1)


def test_an_error_in_a_span_arises_after_the_spans_before(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = list(cut_windows(range(90), (), SETTINGS.window_s, SETTINGS.hop_s, duration_s=90.0))
    decode = video.read_frames

    def fail(*arguments: Any, start_s: float, **options: Any) -> Iterator[Frame]:
        if start_s == windows[20].start_s:
            raise MediaError("is damaged", recording, "pass another")
        return decode(*arguments, start_s=start_s, **options)

    monkeypatch.setattr(video, "read_frames", fail)
    before = set(threading.enumerate())
    runs = RecordingScorer(recognizer(), recording).score_densely([windows[:2], windows[20:22]])
    assert len(next(runs)) == 2
    with pytest.raises(MediaError, match="is damaged"):
        next(runs)
    assert set(threading.enumerate()) <= before  # no thread goes on decoding


def test_evidence_of_blocks_is_that_of_the_whole_recording(rng: np.random.Generator) -> None:
    settings = replace(
        SETTINGS, nothing_threshold=0.2, presence_weight=1.0, saliency_drop=0.3, usual_saliency=1.0
    )
    spans = [Window(2.0 * n, 2.0 * n + 6, 2.0 * n + 3, range(6 * n, 6 * n + 6)) for n in range(150)]
    rows = [ScoredWindow(w, rng.normal(0, 3, 3), float(rng.normal(0, 3))) for w in spans]
    final = {w.window: w._replace(saliency=w.saliency + 1.0) for w in rows}
    scoring = AdaptiveScoring(settings, lambda runs: [[final[w] for w in run] for run in runs])
    improved = list(scoring.improve(iter(rows)))
    assert 0 < scoring.dense_count < 150 == len(improved)
    saliency = np.array([one.saliency for one in improved])
    logits = np.array([one.logits for one in improved])
    evidence = compute_evidence(logits, settings, compute_presence(saliency, settings))
    np.testing.assert_allclose(scoring._before, evidence[-len(scoring._before) :])


@pytest.mark.parametrize(
    ("name", "gop_s", "seconds", "reason"),
    [
        ("a.mp4", 8.0, 40, "its key frames are 8.0 s apart, more than 3 s"),
        ("a.mp4", 60.0, 5, "its key frames are 5.0 s apart, more than 3 s"),
        ("a.ts", 2.0, 20, "it has no list of its key frames (MP4 and Matroska files have one)"),
    ],
)
def test_all_frames_are_decoded_where_key_frames_do_not_suffice(
    tmp_path: Path, name: str, gop_s: float, seconds: int, reason: str
) -> None:
    path = write_color_video(tmp_path / name, ["red"] * seconds, gop_s)
    adaptive, exact = watch_both(path)
    assert adaptive.decoding == DecodingReport("exact", 1.0, reason)
    assert str(adaptive.decoding) == f"all frames decoded, because {reason}"
    np.testing.assert_array_equal(adaptive.scores, exact.scores)
    assert exact.decoding == DecodingReport("exact", 1.0, "")


def test_a_variable_frame_rate_with_gaps_has_the_same_windows(tmp_path: Path) -> None:
    """Key frames follow the number of frames, so seconds without any are among them."""
    times_s = [t / 5 for t in range(450) if not 200 <= t < 290 and t % 7]
    adaptive, exact = watch_both(write_color_video(tmp_path / "a.mkv", COLORS, 2.0, times_s))
    assert adaptive.decoding.effort == "adaptive"
    np.testing.assert_array_equal(adaptive.times_s, exact.times_s)
    assert adaptive.duration_s == exact.duration_s
    assert [s.product_id for s in adaptive.segments] == [s.product_id for s in exact.segments]
    gap = (exact.times_s > 40) & (exact.times_s < 58)
    np.testing.assert_allclose(adaptive.scores[gap], exact.scores[gap], atol=1e-6)


def test_a_damaged_middle_is_reported_and_the_rest_is_recognized(
    tmp_path: Path, recording: Path
) -> None:
    raw = bytearray(recording.read_bytes())
    start = raw.index(b"mdat") + 4
    middle = start + (len(raw) - start) // 3
    raw[middle : middle + 2000] = bytes(2000)
    path = tmp_path / "a.mp4"
    path.write_bytes(raw)
    result = recognizer().watch(path)
    assert [s.product_id for s in result.segments][-1] == "green"
    assert result.duration_s == pytest.approx(90, abs=0.5)
    assert result.damage and all("is damaged" in line for line in result.damage)


def test_the_most_doubtful_windows_are_chosen_within_a_budget() -> None:
    doubt = np.array([0.0] * 20 + [0.5, 0.4] + [0.0] * 20 + [0.3] + [0.1] * 17)
    none = np.zeros(60, np.bool_)
    chosen = choose_windows(doubt, none, SETTINGS)
    # A span of n windows decodes 2n + 4 s, and 3 s before it; a quarter of 120 s may be decoded.
    assert np.flatnonzero(chosen).tolist() == [20, 21, 42, 43, 44, 45, 46, 47]
    assert not choose_windows(doubt, none, SETTINGS, max_share=0.0).any()
    assert choose_windows(doubt, ~none, SETTINGS, max_share=0.0).all()
    assert not choose_windows(np.full(60, 0.01), none, SETTINGS).any()


def test_doubt_is_largest_at_changes() -> None:
    evidence = np.zeros((12, 2))
    evidence[:6, 0] = evidence[6:, 1] = 2.0
    doubt = find_doubt(evidence, switch_cost=3.0)
    assert set(np.argsort(-doubt)[:2]) == {5, 6} and doubt[[0, 11]].max() < 0.1
