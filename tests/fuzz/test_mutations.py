"""Five hundred broken files through the readers: each is read, or refused by name.

The readers run in a child process, so that a crash of a native library or an endless loop
fails one test with the name of the file, and leaves pytest alive. To add a format, add a
`Kind` to KINDS.
"""

from __future__ import annotations

import json
import multiprocessing
import random
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from sgmn.errors import MediaError
from sgmn.media import image, transcript, video
from sgmn.records import Utterance
from tests.media.footage import frame_times, write_video

LIMIT_S = 60.0  # for all files of one kind


class Kind(NamedTuple):
    """One format: its file ending, how to make a whole file, how to read it, how many to break."""

    name: str
    suffix: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]
    count: int


def filmed(**options: object) -> Callable[[Path], object]:
    return lambda path: write_video(path, frame_times(0.8), with_noise=True, **options)  # type: ignore[arg-type]


def drawn(**options: object) -> Callable[[Path], object]:
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    return lambda path: Image.fromarray(noise).save(path, exif=exif, **options)  # type: ignore[arg-type]


def written(text: str) -> Callable[[Path], object]:
    return lambda path: path.write_text(text, encoding="utf-8")


def all_frames(path: Path) -> object:
    return list(video.read_frames(path, rate_hz=5.0, max_side=32, damage=[]))


def late_frames(path: Path) -> object:
    return list(video.read_frames(path, rate_hz=5.0, start_s=2.1, damage=[]))


SAID = [Utterance(i, i + 0.8, f"this lime & {i} <more>") for i in range(6)]
SRT = "".join(f"{i}\n00:00:0{i},000 --> 00:00:0{i},900\nlime {i}\n\n" for i in range(1, 7))
ROWS = [{"start": u.start, "end": u.end, "text": u.text} for u in SAID]

KINDS = [
    Kind("h264", ".mp4", filmed(rotation=90), all_frames, 30),
    Kind("fast", ".mp4", filmed(container_options={"movflags": "faststart"}), all_frames, 20),
    Kind("mpeg4", ".mp4", filmed(codec="mpeg4", codec_options={}), all_frames, 10),
    Kind("transport", ".ts", filmed(audio_start_s=0.0), all_frames, 30),
    Kind("matroska", ".mkv", filmed(audio_start_s=0.0), all_frames, 15),
    Kind(
        "late",
        ".mp4",
        lambda path: write_video(path, frame_times(3), with_noise=True),
        late_frames,
        15,
    ),
    Kind("jpeg", ".jpg", drawn(), image.read_image, 60),
    Kind("png", ".png", drawn(), image.read_image, 50),
    Kind("webp", ".webp", drawn(), image.read_image, 40),
    Kind("gif", ".gif", drawn(), image.read_image, 30),
    Kind("tiff", ".tiff", drawn(compression="tiff_lzw"), image.read_image, 20),
    Kind("srt", ".srt", written(SRT), transcript.read_transcript, 50),
    Kind("vtt", ".vtt", written(transcript.format_webvtt(SAID)), transcript.read_transcript, 50),
    Kind("json", ".json", written(json.dumps({"segments": ROWS})), transcript.read_transcript, 50),
    Kind(
        "jsonl", ".jsonl", written("\n".join(map(json.dumps, ROWS))), transcript.read_transcript, 30
    ),
]


def broken(whole: bytes, rng: random.Random) -> bytes:
    """Cut off, flip bits, blank, drop or repeat a part: one of them, or two at once."""
    data = bytearray(whole)
    for _ in range(rng.choice((1, 1, 2))):
        at, length = rng.randrange(len(data)), rng.randrange(1, max(2, len(data) // 8))
        way = rng.randrange(6)
        if way == 0:
            del data[max(1, at) :]
        elif way == 1:
            data[at : at + length] = bytes(len(data[at : at + length]))
        elif way == 2:
            del data[max(1, at) : at + length]
        elif way == 3:
            data[at:at] = data[at : at + length]
        else:  # the header is where it hurts, so half of the flips go there
            end = len(data) if way == 4 else min(len(data), 200)
            for _ in range(rng.randrange(1, 30)):
                data[rng.randrange(end)] ^= 1 << rng.randrange(8)
    return bytes(data)


def read_all(kind_name: str, folder: Path, log: Path) -> None:
    """In the child: break and read each file; a line is logged before and after each."""
    kind = next(kind for kind in KINDS if kind.name == kind_name)
    whole = folder / f"whole{kind.suffix}"
    kind.make(whole)
    kind.read(whole)
    with log.open("w", encoding="utf-8", buffering=1) as lines:
        for i in range(kind.count):
            path = folder / f"{kind.name}-{i}{kind.suffix}"
            data = whole.read_bytes()
            # The first is a stub: MPEG-TS is made to survive nearly everything else.
            stub, rng = data[: max(1, len(data) // 100)], random.Random(f"{kind.name} {i}")
            path.write_bytes(broken(data, rng) if i else stub)
            lines.write(f"begins {path.name}\n")
            lines.write(f"{verdict(kind, path)}\n")


def verdict(kind: Kind, path: Path) -> str:
    try:
        kind.read(path)
    except MediaError as refusal:
        return "refused" if path.name in str(refusal) else f"nameless: {refusal}"
    except Exception as error:  # noqa: BLE001 - whatever else comes is what this test looks for
        return f"leaked {type(error).__name__}: {error}"
    return "read"


def run_in_child(kind: Kind, folder: Path) -> tuple[int | None, list[str]]:
    """The child's exit code (None: it did not end in time) and what it logged."""
    log = folder / "log.txt"
    spawn = multiprocessing.get_context("spawn")
    child = spawn.Process(target=read_all, args=(kind.name, folder, log))
    child.start()
    child.join(LIMIT_S)
    ended = child.exitcode
    if ended is None:
        child.kill()
        child.join()
    return ended, log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@pytest.mark.timeout(LIMIT_S + 30)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_broken_files_are_read_or_refused_by_name(kind, tmp_path):
    ended, lines = run_in_child(kind, tmp_path)
    assert ended == 0, f"the reader died or hung (exit {ended}) after: {lines[-1:]}"
    verdicts = dict(zip(lines[::2], lines[1::2], strict=True))
    assert len(verdicts) == kind.count
    wrong = {name: said for name, said in verdicts.items() if said not in ("read", "refused")}
    assert not wrong
    assert "refused" in verdicts.values(), "nothing was broken enough to test anything"


def test_five_hundred_are_tried():
    assert sum(kind.count for kind in KINDS) >= 500


def test_a_leak_is_noticed(tmp_path):
    leaking = Kind("x", ".x", written("x"), lambda path: json.loads("{"), 1)
    (tmp_path / "a.x").touch()
    assert verdict(leaking, tmp_path / "a.x").startswith("leaked JSONDecodeError")
    nameless = Kind("x", ".x", written("x"), refuse_namelessly, 1)
    assert verdict(nameless, tmp_path / "a.x").startswith("nameless")


def refuse_namelessly(path: Path) -> object:
    raise MediaError("is broken")
