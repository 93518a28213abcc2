"""`sgmn watch` of a recording: timeline, chapters, report, events."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command import RunCommand


def test_watch_writes_a_timeline_and_chapters(
    run: RunCommand, video: Path, transcript: Path, truth: Path, shared_index: Path, tmp_path: Path
) -> None:
    timeline, chapters = tmp_path / "t.json", tmp_path / "c.vtt"
    result = run(
        *("watch", video, "-i", shared_index, "-t", transcript),
        *("-o", timeline, "--vtt", chapters, "--truth", truth),
    )
    assert result.status == 0, result.err
    assert "of the time" in result.out and "x real time" in result.out
    segments = json.loads(timeline.read_text())["segments"]
    assert segments[0]["start"] == 0 and segments[-1]["end"] == pytest.approx(40, abs=0.6)
    assert chapters.read_text().startswith("WEBVTT")


def test_watch_writes_an_illustrated_report(
    run: RunCommand, video: Path, transcript: Path, truth: Path, shared_index: Path, tmp_path: Path
) -> None:
    report = tmp_path / "out" / "report.html"
    result = run(
        *("watch", video, "-i", shared_index, "-t", transcript),
        *("--truth", truth, "--html", report),
    )
    assert result.status == 0, result.err
    text = report.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and text.count("<article") >= 1
    assert "red apple" in text and "hello this is the red milk" in text and "6 products" in text
    correct_percent = float(result.out.split("% of the time")[0].split()[-1])
    assert f"<b>{correct_percent:.0f}%</b>" in text
    result = run("watch", tmp_path / "none.mp4", "-i", shared_index, "--html", tmp_path)
    assert result.status == 2 and "folder" in result.err  # before the video is opened
    assert "none.mp4" not in result.err


def test_an_empty_transcript_is_a_transcript(
    run: RunCommand, video: Path, shared_index: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.srt").write_text("")
    assert run("watch", video, "-i", shared_index, "-t", tmp_path / "empty.srt").status == 0


def test_cues_after_the_end_are_reported(
    run: RunCommand, video: Path, shared_index: Path, tmp_path: Path
) -> None:
    cues = [{"start": 1, "end": 2, "text": "milk"}, {"start": 900, "end": 901, "text": "apple"}]
    (tmp_path / "late.json").write_text(json.dumps(cues))
    result = run("watch", video, "-i", shared_index, "-t", tmp_path / "late.json")
    assert result.status == 0 and "1 of 2 cues start after the video ends" in result.err


def test_watch_says_what_was_decoded(run: RunCommand, video: Path, shared_index: Path) -> None:
    """The stream of the tests has sparse key frames."""
    adaptive = run("watch", video, "-i", shared_index, "--hwaccel", "none")
    assert adaptive.status == 0, adaptive.err
    assert "all frames decoded, because its key frames are" in adaptive.out
    exact = run("watch", video, "-i", shared_index, "--effort", "exact")
    assert exact.status == 0 and "decoded" not in exact.out
    refused = run("watch", video, "-i", shared_index, "--effort", "hasty")
    assert refused.status == 2
    assert refused.err == "sgmn: --effort: is 'hasty'; pass one of exact, adaptive\n"
