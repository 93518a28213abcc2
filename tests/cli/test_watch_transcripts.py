"""Transcripts for `sgmn watch`: growing files, standard input, speech recognition."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgmn.live.recognizer import StreamRecognizer
from sgmn.live.windows import cut_windows
from sgmn.media.audio import Samples
from sgmn.media.speech_engine import Word
from sgmn.media.transcript import read_transcript
from sgmn.records import Utterance
from tests.command import RunCommand
from tests.media.streaming import send_all, send_then_stay_silent, serve_tcp
from tests.media.tones import write_tone_video


@pytest.fixture
def window_texts(monkeypatch: pytest.MonkeyPatch) -> dict[float, str]:
    """The text of each window by its end, recorded while a command runs."""
    texts: dict[float, str] = {}

    def record(*arguments: Any, **settings: Any) -> Iterator[Any]:
        for window in cut_windows(*arguments, **settings):
            texts[window.end_s] = window.text
            yield window

    monkeypatch.setattr("sgmn.live.session.cut_windows", record)
    return texts


class ToneEngine:
    """Recognizes each tone as the word milk."""

    model_id = "fake"

    def recognize(self, samples: Samples) -> Iterable[Word]:
        loud = np.flatnonzero(np.abs(samples) > 0.2) / 16_000
        if len(loud):
            yield Word(float(loud[0]), float(loud[-1]), " milk")


@pytest.fixture
def loaded_engines(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Replace Whisper by a ToneEngine; returns the arguments of each load."""
    loads: list[tuple[Any, ...]] = []

    def load(*arguments: Any) -> ToneEngine:
        loads.append(arguments)
        return ToneEngine()

    monkeypatch.setattr("sgmn.media.speech_recognition.load_whisper", load)
    return loads


def test_a_live_stream_is_transcribed(
    run: RunCommand,
    shared_index: Path,
    loaded_engines: list[Any],
    window_texts: dict[float, str],
    tmp_path: Path,
) -> None:
    data = write_tone_video(tmp_path / "a.ts", 30, [(14.0, 14.5)])
    with serve_tcp(send_all(data)) as address:
        result = run(
            *("watch", address, "-i", shared_index, "--attempts", 1),
            *("--asr", "small", "--language", "sv", "--hot-words", "--srt", tmp_path / "a.srt"),
        )
    assert result.status == 0, result.err
    ((settings,),) = loaded_engines
    assert (settings.model, settings.language, settings.vad) == ("small", "sv", True)
    assert set(settings.hot_words.split(", ")) == {
        *("red", "green", "blue"),
        *("milk", "apple", "juice"),
    }
    (utterance,) = read_transcript(tmp_path / "a.srt")
    assert utterance.text == "milk" and utterance.start == pytest.approx(14.0, abs=0.15)
    with_milk = {end_s for end_s, text in window_texts.items() if text == "milk"}
    # The sender is faster than real time, so that only the last windows are sure to wait enough.
    assert {22.0, 24.0} <= with_milk <= {16.0, 18.0, 20.0, 22.0, 24.0}


def test_a_recording_is_transcribed_before_it_is_watched(
    run: RunCommand,
    shared_index: Path,
    loaded_engines: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_tone_video(tmp_path / "a.ts", 12, [(6.0, 6.5)])
    transcripts: list[tuple[Utterance, ...]] = []
    watch = StreamRecognizer.watch

    def record(self: StreamRecognizer, source: Path, utterances: Any, *others: Any) -> Any:
        transcripts.append(tuple(utterances))
        return watch(self, source, utterances, *others)

    monkeypatch.setattr(StreamRecognizer, "watch", record)
    cache, subtitles = tmp_path / "cache", tmp_path / "a.vtt"
    for _ in range(2):
        subtitles.unlink(missing_ok=True)
        result = run(
            *("watch", tmp_path / "a.ts", "-i", shared_index, "--asr", "small"),
            *("--cache", cache, "--srt", subtitles),
        )
        assert result.status == 0, result.err
        (utterance,) = transcripts.pop()
        assert utterance.text == "milk" and utterance.start == pytest.approx(6.0, abs=0.15)
        assert [u.text for u in read_transcript(subtitles)] == ["milk"]
    assert len(list(cache.iterdir())) == 1 and len(loaded_engines) == 2


def test_a_given_transcript_is_written_as_subtitles(
    run: RunCommand, shared_index: Path, tmp_path: Path
) -> None:
    write_tone_video(tmp_path / "a.ts", 12, [])
    (tmp_path / "a.json").write_text('[{"start": 1, "end": 2.5, "text": "milk"}]')
    for number, option in enumerate(([], ["--live"])):
        subtitles = tmp_path / f"{number}.srt"
        result = run(
            *("watch", tmp_path / "a.ts", "-i", shared_index, *option),
            *("-t", tmp_path / "a.json", "--srt", subtitles),
        )
        assert result.status == 0, result.err
        assert read_transcript(subtitles) == (Utterance(1.0, 2.5, "milk"),)


def test_images_go_on_when_speech_recognition_fails(
    run: RunCommand,
    shared_index: Path,
    loaded_engines: list[Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: ToneEngine, samples: Samples) -> Iterable[Word]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(ToneEngine, "recognize", fail)
    data = write_tone_video(tmp_path / "a.ts", 14, [(1.0, 2.0)])
    with serve_tcp(send_all(data)) as address:
        result = run("watch", address, "-i", shared_index, "--attempts", 1, "--asr", "small")
    assert result.status == 0 and len(loaded_engines) == 1
    assert "speech recognition stopped early (out of memory)" in result.err
    assert "14 s," in result.out


def test_a_growing_transcript_is_followed(
    run: RunCommand, shared_index: Path, window_texts: dict[float, str], tmp_path: Path
) -> None:
    data, transcript = write_tone_video(tmp_path / "a.ts", 30, []), tmp_path / "said.jsonl"
    transcript.write_text('{"start": 24.0, "end": 25.0, "text": "lime"}\nnot JSON\n')
    with serve_tcp(send_all(data)) as address:
        result = run(
            *("watch", address, "-i", shared_index, "--attempts", 1),
            *("-t", transcript, "--transcript-delay", 5),
        )
    assert result.status == 0, result.err
    assert f"{transcript}: line 2" in result.err
    with_lime = {end_s for end_s, text in window_texts.items() if text == "lime"}
    assert with_lime == {26.0, 28.0, 30.0}


def test_standard_input_may_be_the_transcript(
    run: RunCommand,
    shared_index: Path,
    window_texts: dict[float, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, transcript = write_tone_video(tmp_path / "a.ts", 14, []), tmp_path / "said"
    transcript.write_text(json.dumps({"start": 12.0, "end": 13.0, "text": "kiwi"}) + "\n")
    with transcript.open("rb") as file, serve_tcp(send_all(data)) as address:
        monkeypatch.setattr(sys, "stdin", file)
        result = run(
            *("watch", address, "-i", shared_index, "--attempts", 1),
            *("-t", "-", "--transcript-delay", 3),
        )
    assert result.status == 0, result.err
    assert "kiwi" in window_texts.values()


def test_ctrl_c_does_not_wait_for_the_transcript(
    run: RunCommand,
    shared_index: Path,
    loaded_engines: list[Any],
    window_texts: dict[float, str],
    tmp_path: Path,
) -> None:
    """The sender stays silent at the end, so that only the signal ends the stream."""
    data = write_tone_video(tmp_path / "a.ts", 30, [])
    signal_times = list[float]()

    def handler(*_: object) -> None:
        """Bear a signal that comes after the command: it would end the whole run of tests."""

    def interrupt() -> None:
        while not window_texts:  # with the first window the command handles the signal
            time.sleep(0.05)
        if signal.getsignal(signal.SIGINT) is not handler:
            signal_times.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

    previous = signal.signal(signal.SIGINT, handler)
    try:
        with serve_tcp(send_then_stay_silent(data)) as address:
            thread = threading.Thread(target=interrupt, daemon=True)
            thread.start()
            result = run("watch", address, "-i", shared_index, "--attempts", 1, "--asr", "small")
            thread.join(5)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert result.status == 0 and len(loaded_engines) == 1, result.err
    assert signal_times
    assert time.monotonic() - signal_times[0] < 30  # much less than DRAIN_TIMEOUT_S
