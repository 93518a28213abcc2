"""Transcripts in JSON lines that are still being written: files, pipes and errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import pytest

from sgmn.errors import MediaError
from sgmn.media.jsonl_follower import follow_jsonl
from sgmn.media.live_transcript import LiveTranscript
from sgmn.records import Utterance
from tests.media.streaming import wait_until


def texts(utterances: Iterable[Utterance]) -> list[str]:
    return [u.text for u in utterances]


def json_line(start: float, end: float, text: str) -> str:
    return json.dumps({"start": start, "end": end, "text": text}) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "words.jsonl"


@pytest.fixture
def transcript() -> LiveTranscript:
    return LiveTranscript()


@pytest.fixture
def damage() -> list[str]:
    return []


def test_a_file_is_followed_and_an_incomplete_line_waits(
    path: Path, transcript: LiveTranscript, damage: list[str]
) -> None:
    path.write_text(json_line(1, 2, "one"), encoding="utf-8")
    with (
        follow_jsonl(path, transcript, damage) as follower,
        path.open("a", encoding="utf-8") as file,
    ):
        wait_until(lambda: texts(transcript) == ["one"])
        late = json_line(0, 0.5, "zero — café")
        file.write(json_line(0.8, 0.9, "marker") + late[:30])
        file.flush()
        wait_until(lambda: "marker" in texts(transcript))  # the follower has read to the end
        assert texts(transcript) == ["marker", "one"] and damage == []
        file.write(late[30:] + "\n" + json_line(3, 4, "three"))
        file.flush()
        wait_until(lambda: texts(transcript) == ["zero — café", "marker", "one", "three"])
    assert not follower.is_running and follower.errors == 0 and damage == []


def test_a_character_written_in_two_parts_is_read_whole(
    path: Path, transcript: LiveTranscript, damage: list[str]
) -> None:
    data = '{"start": 1, "end": 2, "text": "café"}\n'.encode()
    cut = data.index("é".encode()) + 1
    path.write_bytes(json_line(0, 1, "marker").encode() + data[:cut])
    with follow_jsonl(path, transcript, damage), path.open("ab") as file:
        wait_until(lambda: texts(transcript) == ["marker"])
        file.write(data[cut:])
        file.flush()
        wait_until(lambda: texts(transcript) == ["marker", "café"])
    assert damage == []


INVALID_LINES = [
    "not json",
    '{"start": 5, "end": 4, "text": "back"}',
    '{"start": 1, "end": 2}',
    '{"start": "1", "end": 2, "text": "a"}',
    '{"start": NaN, "end": 2, "text": "a"}',
    "[1, 2]",
    "[" * 100_000,
    '{"start": 1, "end": 1e999, "text": "a"}',
]


@pytest.mark.parametrize("invalid", INVALID_LINES, ids=lambda text: text[:24])
def test_an_invalid_line_is_reported_with_its_number_and_skipped(
    path: Path, transcript: LiveTranscript, damage: list[str], invalid: str
) -> None:
    # The blank line counts too.
    path.write_text(json_line(1, 2, "one") + "\n" + invalid + "\n" + json_line(3, 4, "three"))
    with follow_jsonl(path, transcript, damage) as follower:
        wait_until(lambda: texts(transcript) == ["one", "three"])
    assert follower.errors == len(damage) == 1
    assert "words.jsonl: line 3 " in damage[0]


def test_bytes_that_are_not_text_are_an_invalid_line(
    path: Path, transcript: LiveTranscript, damage: list[str]
) -> None:
    path.write_bytes(b"\xff\xfe\x00\n" + json_line(3, 4, "three").encode())
    with follow_jsonl(path, transcript, damage):
        wait_until(lambda: texts(transcript) == ["three"])
    assert len(damage) == 1 and "line 1 " in damage[0]


def test_many_errors_are_counted_but_not_all_reported(
    path: Path, transcript: LiveTranscript, damage: list[str]
) -> None:
    path.write_text("wrong\n" * 1000 + json_line(3, 4, "three"))
    with follow_jsonl(path, transcript, damage) as follower:
        wait_until(lambda: texts(transcript) == ["three"])
    assert follower.errors == 1000 and len(damage) == 100


def test_a_line_that_is_too_long_is_skipped(
    path: Path, transcript: LiveTranscript, damage: list[str]
) -> None:
    path.write_text("x" * (3 << 20) + "\n" + json_line(3, 4, "three"))
    with follow_jsonl(path, transcript, damage):
        wait_until(lambda: texts(transcript) == ["three"])
    assert "line 1 is longer than 1048576 bytes" in damage[0]


def test_errors_are_logged_without_a_list(
    path: Path, transcript: LiveTranscript, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_text("wrong\n" + json_line(3, 4, "three"))
    with follow_jsonl(str(path), transcript):
        wait_until(lambda: texts(transcript) == ["three"])
    assert "line 1 is not valid JSON" in caplog.text


def test_an_open_pipe_ends_with_its_writer_and_is_not_closed(
    transcript: LiveTranscript, damage: list[str]
) -> None:
    script = (
        "import sys, time\n"
        'print(\'{"start": 1, "end": 2, "text": "one"}\', flush=True)\n'
        "time.sleep(0.2)\n"
        'sys.stdout.write(\'{"start": 3, "end": 4, "text": "three"}\')\n'
    )
    writer = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    with writer, follow_jsonl(writer.stdout, transcript, damage) as follower:
        wait_until(lambda: not follower.is_running)
        assert texts(transcript) == ["one", "three"] and damage == []
        assert not writer.stdout.closed and os.fstat(writer.stdout.fileno())


def test_a_writer_that_stops_within_a_line_is_reported(
    transcript: LiveTranscript, damage: list[str]
) -> None:
    read_end, write_end = os.pipe()
    with (
        os.fdopen(read_end, "rb") as stream,
        follow_jsonl(stream, transcript, damage) as follower,
    ):
        os.write(write_end, (json_line(1, 2, "one") + '{"start": 3, "en').encode())
        os.close(write_end)
        wait_until(lambda: not follower.is_running)
    assert texts(transcript) == ["one"]
    assert len(damage) == 1 and "line 2 is not valid JSON" in damage[0]


def test_a_named_pipe_accepts_one_writer_after_another(
    path: Path, transcript: LiveTranscript, damage: list[str]
) -> None:
    os.mkfifo(path)
    with follow_jsonl(path, transcript, damage) as follower:
        with path.open("w") as file:
            file.write(json_line(1, 2, "one") + '{"start":')
        wait_until(lambda: len(damage) == 1)
        with path.open("w") as file:
            file.write(json_line(3, 4, "three"))
        wait_until(lambda: texts(transcript) == ["one", "three"])
        assert follower.is_running and follower.errors == 1


def test_a_rewritten_file_is_read_again_without_duplicates(
    path: Path, transcript: LiveTranscript, damage: list[str]
) -> None:
    path.write_text(json_line(1, 2, "one") + json_line(3, 4, "three") + '{"start"')
    with follow_jsonl(path, transcript, damage):
        wait_until(lambda: len(transcript) == 2)
        path.write_text(json_line(0, 1, "zero"))  # shorter than before
        wait_until(lambda: texts(transcript) == ["zero", "one", "three"])
        with path.open("a") as file:
            file.write(json_line(1, 2, "one") + json_line(2, 3, "two") + "wrong\n")
        wait_until(lambda: texts(transcript) == ["zero", "one", "two", "three"])
        wait_until(lambda: damage)
    assert len(damage) == 1 and "line 4 " in damage[0]


def test_a_missing_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"gone\.jsonl: cannot be opened"):
        follow_jsonl(tmp_path / "gone.jsonl", LiveTranscript(), [])


def test_closing_leaves_no_thread_and_no_file_open(path: Path) -> None:
    open_files = Path("/proc/self/fd")
    if not open_files.is_dir():
        pytest.skip("this system does not list open files")
    path.write_text(json_line(1, 2, "one"))
    read_end, write_end = os.pipe()
    with os.fdopen(read_end, "rb") as silent_pipe, os.fdopen(write_end, "wb"):
        threads, files = threading.active_count(), len([*open_files.iterdir()])
        sources: list[Path | IO[bytes]] = [path, silent_pipe]
        for source in sources * 5:
            follower = follow_jsonl(source, LiveTranscript(), [])
            assert follower.is_running
            follower.close()
            assert not follower.is_running
        assert threading.active_count() <= threads
        assert len([*open_files.iterdir()]) <= files
