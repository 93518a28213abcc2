"""A spoken generated stream becomes a timeline, with Whisper base from the offline packages."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sgmn.evaluation.timeline_metrics import time_weighted_accuracy
from sgmn.evaluation.word_errors import word_error_rate
from sgmn.media.transcript import read_transcript
from sgmn.records import Segment
from sgmn.workflows.evaluation import read_true_timeline
from tests.command import RunCommand
from tests.media.footage import frame_times, write_video

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TRANSCRIBE = """
import sys
from itertools import pairwise
from pathlib import Path
from sgmn.media.speech_engine import SpeechSettings
from sgmn.media.speech_recognition import SpeechRecognizer
from sgmn.media.transcript_cache import TranscriptCache
recognizer = SpeechRecognizer(SpeechSettings("base", "en", cpu_threads=1))
progress = lambda seconds: print(seconds, flush=True)
TranscriptCache(Path(sys.argv[2])).transcribe(recognizer, Path(sys.argv[1]), progress)
print("finished", flush=True)
"""


@pytest.fixture(scope="module")
def spoken_index(spoken_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.command import run_main

    path = tmp_path_factory.mktemp("index") / "index"
    assert run_main("index", spoken_world, "-o", path, "-m", "builtin") == 0
    return path


def read_timeline(path: Path) -> tuple[Segment, ...]:
    segments = json.loads(path.read_text())["segments"]
    return tuple(Segment(s["start"], s["end"], s["product_id"]) for s in segments)


def kill_during_recognition(source: Path, cache: Path) -> None:
    """Transcribe a recording in another process, and kill it after its first window."""
    command = [sys.executable, "-c", TRANSCRIBE, str(source), str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first_line = process.stdout.readline()
        process.kill()
        rest = process.stdout.read()
    assert process.returncode == -signal.SIGKILL
    assert float(first_line) > 0 and "finished" not in rest


def test_a_spoken_stream_becomes_a_timeline_even_after_a_killed_recognition(
    run: RunCommand, spoken_stream: Path, spoken_index: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    kill_during_recognition(spoken_stream, cache)
    assert not list(cache.glob("*.json"))
    truth, subtitles = spoken_stream.with_suffix(".json"), tmp_path / "recognized.srt"
    speech = ("--asr", "base", "--language", "en", "--cache", cache)
    options = {"recognized": (*speech, "--srt", subtitles), "true": ("--transcript", truth)}
    accuracy = {}
    for name, transcript in options.items():
        output = tmp_path / f"{name}.json"
        result = run("watch", spoken_stream, "-i", spoken_index, *transcript, "--output", output)
        assert result.status == 0, result.err
        segments = read_timeline(output)
        accuracy[name] = time_weighted_accuracy(read_true_timeline(truth), segments)
    assert len(list(cache.glob("*.json"))) == 1
    true_text, text = (
        " ".join(utterance.text for utterance in read_transcript(path))
        for path in (truth, subtitles)
    )
    assert word_error_rate([(true_text, text)]) <= 0.2
    assert accuracy["recognized"] >= accuracy["true"] - 0.15, accuracy


def test_a_recording_without_audio_is_watched_by_its_images(
    run: RunCommand, spoken_index: Path, tmp_path: Path
) -> None:
    source = write_video(tmp_path / "a.mp4", frame_times(12))
    subtitles = tmp_path / "a.srt"
    result = run(
        *("watch", source, "-i", spoken_index, "--asr", "base", "--language", "en"),
        *("--cache", tmp_path / "cache", "--srt", subtitles),
    )
    assert result.status == 0, result.err
    assert read_transcript(subtitles) == ()
