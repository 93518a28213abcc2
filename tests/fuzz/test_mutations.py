"""Five hundred mutated files: each is read, or refused with its name.

The readers run in a child process. A crash of a native library or an endless loop thus fails
one test with the name of the file, and pytest continues. To add a format, add a `FileFormat` to
FORMATS.
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from sgmn.errors import MediaError
from sgmn.media import image, transcript, video
from sgmn.records import Utterance
from tests.media.footage import frame_times, write_video

TIMEOUT_S = 60.0  # for all files of one format


class FileFormat(NamedTuple):
    """A format: how to write a valid file, how to read it, and how many files to mutate."""

    name: str
    suffix: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    file_count: int


def video_writer(**options: Any) -> Callable[[Path], object]:
    return lambda path: write_video(path, frame_times(0.8), with_noise=True, **options)


def image_writer(**options: Any) -> Callable[[Path], object]:
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    return lambda path: Image.fromarray(noise).save(path, exif=exif, **options)


def text_writer(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")


def read_all_frames(path: Path) -> object:
    return list(video.read_frames(path, rate_hz=5.0, max_side=32, damage=[]))


def read_late_frames(path: Path) -> object:
    return list(video.read_frames(path, rate_hz=5.0, start_s=2.1, damage=[]))


def write_three_seconds(path: Path) -> object:
    return write_video(path, frame_times(3), with_noise=True)


UTTERANCES = [Utterance(i, i + 0.8, f"this lime & {i} <more>") for i in range(6)]
SRT = "".join(f"{i}\n00:00:0{i},000 --> 00:00:0{i},900\nlime {i}\n\n" for i in range(1, 7))
ROWS = [{"start": u.start, "end": u.end, "text": u.text} for u in UTTERANCES]
JSON, JSON_LINES = json.dumps({"segments": ROWS}), "\n".join(map(json.dumps, ROWS))
WEBVTT = transcript.format_webvtt(UTTERANCES)
FASTSTART = {"movflags": "faststart"}

FORMATS = [
    FileFormat("h264", ".mp4", video_writer(rotation=90), read_all_frames, 30),
    FileFormat("fast", ".mp4", video_writer(container_options=FASTSTART), read_all_frames, 20),
    FileFormat("mpeg4", ".mp4", video_writer(codec="mpeg4", codec_options={}), read_all_frames, 10),
    FileFormat("transport", ".ts", video_writer(audio_start_s=0.0), read_all_frames, 30),
    FileFormat("matroska", ".mkv", video_writer(audio_start_s=0.0), read_all_frames, 15),
    FileFormat("late", ".mp4", write_three_seconds, read_late_frames, 15),
    FileFormat("jpeg", ".jpg", image_writer(), image.read_image, 60),
    FileFormat("png", ".png", image_writer(), image.read_image, 50),
    FileFormat("webp", ".webp", image_writer(), image.read_image, 40),
    FileFormat("gif", ".gif", image_writer(), image.read_image, 30),
    FileFormat("tiff", ".tiff", image_writer(compression="tiff_lzw"), image.read_image, 20),
    FileFormat("srt", ".srt", text_writer(SRT), transcript.read_transcript, 50),
    FileFormat("vtt", ".vtt", text_writer(WEBVTT), transcript.read_transcript, 50),
    FileFormat("json", ".json", text_writer(JSON), transcript.read_transcript, 50),
    FileFormat("jsonl", ".jsonl", text_writer(JSON_LINES), transcript.read_transcript, 30),
]


def mutate(original: bytes, rng: random.Random) -> bytes:
    """Truncate, blank, delete or repeat a part, or flip bits: one mutation, or two at once."""
    data = bytearray(original)
    for _ in range(rng.choice((1, 1, 2))):
        at, length = rng.randrange(len(data)), rng.randrange(1, max(2, len(data) // 8))
        mutation = rng.randrange(6)
        if mutation == 0:
            del data[max(1, at) :]
        elif mutation == 1:
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif mutation == 2:
            del data[max(1, at) : at + length]
        elif mutation == 3:
            data[at:at] = data[at : at + length]
        else:  # half of the bit flips are in the header, where they have most effect
            end = len(data) if mutation == 4 else min(len(data), 200)
            for _ in range(rng.randrange(1, 30)):
                data[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(data)


def read_mutated_files(format_name: str, folder: Path, log: Path) -> None:
    """In the child process: mutate and read each file, logging a line before and after each."""
    file_format = next(f for f in FORMATS if f.name == format_name)
    original = folder / f"original{file_format.suffix}"
    file_format.write(original)
    file_format.read(original)
    data = original.read_bytes()
    with log.open("w", encoding="utf-8", buffering=1) as lines:
        for i in range(file_format.file_count):
            path = folder / f"{file_format.name}-{i}{file_format.suffix}"
            # The first is only a stub, because MPEG-TS survives nearly any other mutation.
            stub, rng = data[: max(1, len(data) // 100)], random.Random(f"{file_format.name} {i}")
            path.write_bytes(mutate(data, rng) if i else stub)
            lines.write(f"reading {path.name}\n")
            lines.write(f"{read_and_classify(file_format, path)}\n")


def read_and_classify(file_format: FileFormat, path: Path) -> str:
    """Read a file; return "read", "refused", or what is wrong with the error."""
    try:
        file_format.read(path)
    except MediaError as error:
        return "refused" if path.name in str(error) else f"nameless: {error}"
    except Exception as error:  # noqa: BLE001 - any other error is what this test looks for
        return f"leaked {type(error).__name__}: {error}"
    return "read"


def run_in_child(file_format: FileFormat, folder: Path) -> tuple[int | None, list[str]]:
    """Return the exit code of the child (None after a timeout) and the lines of its log."""
    log = folder / "log.txt"
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=read_mutated_files, args=(file_format.name, folder, log))
    child.start()
    child.join(TIMEOUT_S)
    exit_code = child.exitcode
    if exit_code is None:
        child.kill()
        child.join()
    return exit_code, log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@pytest.mark.slow
@pytest.mark.timeout(TIMEOUT_S + 30)
@pytest.mark.parametrize("file_format", FORMATS, ids=lambda file_format: file_format.name)
def test_mutated_files_are_read_or_refused_by_name(file_format: FileFormat, tmp_path: Path) -> None:
    exit_code, lines = run_in_child(file_format, tmp_path)
    assert exit_code == 0, f"the reader crashed or hung (exit {exit_code}) after: {lines[-1:]}"
    results = dict(zip(lines[::2], lines[1::2], strict=True))
    assert len(results) == file_format.file_count
    wrong = {name: result for name, result in results.items() if result not in ("read", "refused")}
    assert not wrong
    assert "refused" in results.values(), "no file was mutated enough to be refused"


def test_at_least_five_hundred_files_are_read() -> None:
    assert sum(file_format.file_count for file_format in FORMATS) >= 500


def test_leaked_and_nameless_errors_are_detected(tmp_path: Path) -> None:
    path = tmp_path / "a.x"
    path.touch()
    leaking = FileFormat("x", ".x", text_writer("x"), lambda path: json.loads("{"), 1)
    assert read_and_classify(leaking, path).startswith("leaked JSONDecodeError")
    nameless = FileFormat("x", ".x", text_writer("x"), raise_without_name, 1)
    assert read_and_classify(nameless, path).startswith("nameless")


def raise_without_name(path: Path) -> object:
    raise MediaError("is broken")
