"""What `sgmn watch` refuses: one line, status 2, no secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sgmn.errors import CheckpointError
from tests.cli.streaming import closed_address
from tests.command import RunCommand
from tests.media.tones import write_tone_video

Case = tuple[tuple[str, ...], str]  # arguments, and what the message names

LIVE_CASES: Mapping[str, Case] = {
    "a closed port": (("CLOSED", "--attempts", "1"), "refused"),
    "an unknown scheme": (("gopher://ann:s3cret@shop/",), "gopher://"),
    "a file that does not exist": (("none.mp4", "--live"), "none.mp4"),
    "a report of a live stream": (("CLOSED", "--html", "r.html"), "--html"),
    "a folder for events": (("CLOSED", "--events", "."), "folder"),
    "events below a file": (("CLOSED", "--events", "file/e.jsonl"), "file/e.jsonl"),
    "an invalid webhook": (("CLOSED", "--webhook", "ftp://s3cret@shop"), "webhook URL"),
    "an unset secret": (
        ("CLOSED", "--webhook", "http://localhost/", "--webhook-secret-env", "NOWHERE"),
        "environment variable NOWHERE",
    ),
    "a secret without a webhook": (("CLOSED", "--webhook-secret-env", "HOME"), "--webhook"),
    "real time of an address": (("CLOSED", "--realtime"), "--realtime"),
    "real time of a recording": (("file", "--realtime"), "--realtime"),
    "hardware for a live stream": (("CLOSED", "--hwaccel", "auto"), "--hwaccel"),
    "a negative lag": (("CLOSED", "--lag", "-1"), "--lag"),
}
TRANSCRIPT_CASES: Mapping[str, Case] = {
    "two transcripts": (("tcp://h:1", "--asr", "small", "-t", "a.srt"), "--asr and --transcript"),
    "a language without recognition": (("tcp://h:1", "--language", "sv"), "--language"),
    "hot words without recognition": (("a.ts", "--hot-words"), "--hot-words"),
    "a cache without recognition": (("a.ts", "--cache", "c"), "--cache"),
    "subtitles without a transcript": (("a.ts", "--srt", "a.srt"), "--srt"),
    "subtitles of an unknown format": (("a.ts", "--asr", "base", "--srt", "a.txt"), ".vtt"),
    "recognition at full speed": (("a.ts", "--live", "--asr", "small"), "--realtime"),
    "a delay in a recording": (("a.ts", "--transcript-delay", "3"), "--transcript-delay"),
    "a negative delay": (("tcp://h:1", "--transcript-delay", "-3"), "--transcript-delay"),
    "a playlist for a recording": (("a.ts", "-t", "https://ann:s3cret@h/s.m3u8"), "live stream"),
    "a growing file for a recording": (("a.ts", "-t", "said.jsonl"), "live stream"),
    "standard input twice": (("-", "-t", "-"), "standard input"),
    "no such transcript": (("tcp://h:1", "-t", "none.jsonl"), "none.jsonl"),
}
CASES = {**LIVE_CASES, **TRANSCRIPT_CASES}


@pytest.mark.parametrize("name", list(CASES))
def test_contradictions_are_one_line_and_status_2(
    name: str,
    run: RunCommand,
    shared_index: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("not a folder")
    write_tone_video(Path("a.ts"), 2, [])
    (source, *options), reason = CASES[name]
    address = closed_address() if source == "CLOSED" else source
    result = run("watch", address, "-i", shared_index, *options)
    lines = result.err.strip().splitlines()
    assert result.status == 2
    assert len(lines) == 1 and lines[0].startswith("sgmn: "), result.err
    assert reason in lines[0] and "; " in lines[0], "the message names no remedy"
    assert "s3cret" not in result.err + result.out


def test_a_missing_speech_model_is_refused_before_the_stream_is_opened(
    run: RunCommand, shared_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*arguments: Any) -> None:
        raise CheckpointError("cannot be loaded", "small", "pass a folder")

    monkeypatch.setattr("sgmn.media.speech_recognition.load_whisper", load)
    result = run("watch", "tcp://127.0.0.1:9", "-i", shared_index, "--asr", "small")
    assert result.status == 2 and "small" in result.err and "tcp" not in result.err


def test_no_thread_is_left_when_the_events_file_cannot_be_opened(
    run: RunCommand, shared_index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import threading

    events = tmp_path / "e.jsonl"
    opened = Path.open

    def fail(self: Path, *arguments: Any, **settings: Any) -> Any:
        if self == events:
            raise OSError(28, "No space left on device", str(events))
        return opened(self, *arguments, **settings)

    monkeypatch.setattr(Path, "open", fail)
    result = run(
        *("watch", "tcp://127.0.0.1:9", "-i", shared_index, "--events", events),
        *("--webhook", "http://127.0.0.1:9/"),
    )
    assert result.status == 2 and "No space left" in result.err
    assert not [thread for thread in threading.enumerate() if thread.name == "webhook"]
