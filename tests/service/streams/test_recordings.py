"""Recordings: the packets of the source as they are, whatever is killed, with range requests."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sgmn.media.live_source import LiveSource
from sgmn.media.recorder import StreamRecorder, list_parts, part_path
from sgmn.service.context import ServiceContext
from sgmn.service.streams.janitor import clean_up
from sgmn.service.streams.recordings import RECORDING_FOLDER
from sgmn.service.streams.service import streams_of
from tests.service.conftest import Headers
from tests.service.process import wait_for
from tests.service.streams.api import SessionApi
from tests.service.streams.world import StreamWorld, kill

SQLITE_ONLY = pytest.mark.parametrize("module_database", ["sqlite"], indirect=True)


def read_packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as video:
        return [bytes(packet) for packet in video.demux(video=0) if packet.size]


def make_source(path: Path, codec: str, audio: str | None = None) -> Path:
    """Four seconds of ten frames each, with a key frame each second."""
    with av.open(str(path), "w") as file:
        track: Any = file.add_stream(codec, rate=10)
        track.width, track.height, track.pix_fmt = 48, 64, "yuv420p"
        track.options = {"g": "10"}
        sound: Any = None if audio is None else file.add_stream(audio, rate=16000, layout="mono")
        for number in range(40):
            image = Image.new("RGB", (48, 64), (6 * number, 80, 90))
            file.mux(track.encode(av.VideoFrame.from_image(image)))
            if sound is not None:
                samples = np.zeros((1, 1600), np.float32)
                frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 16000, 1600 * number
                file.mux(sound.encode(frame))
        file.mux(track.encode())
        if sound is not None:
            file.mux(sound.encode())
    return path


@SQLITE_ONLY
def test_a_session_is_recorded_without_encoding(
    api: SessionApi, video: Path, context: ServiceContext, other_editor: Headers
) -> None:
    session = api.start("stream.mp4", record=True)
    assert api.wait_for_end(session)["options"]["record"] is True
    folder = streams_of(context).folder(session) / RECORDING_FOLDER
    [part] = api.get(f"/{session}/recordings")["items"]
    assert part == {
        "number": 1,
        "start": 0.0,
        "end": 40.0,
        "is_complete": True,
        "bytes": part_path(folder, 1).stat().st_size,
    }
    assert read_packets(part_path(folder, 1)) == read_packets(video)

    whole = api.request("GET", f"/{session}/recording")
    assert whole.status_code == 200 and whole.content == part_path(folder, 1).read_bytes()
    assert whole.headers["content-type"] == "video/mp4"
    middle = api.request("GET", f"/{session}/recording?part=1", headers={"Range": "bytes=10-19"})
    assert middle.status_code == 206 and middle.content == whole.content[10:20]
    assert middle.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    beyond = {"Range": f"bytes={len(whole.content)}-"}
    assert api.request("GET", f"/{session}/recording", headers=beyond).status_code == 416
    assert api.request("GET", f"/{session}/recording?part=2").status_code == 404
    for name in ("recording", "recordings"):
        response = api.client.get(f"/v1/sessions/{session}/{name}", headers=other_editor)
        assert response.status_code == 404

    old_s = time.time() - 8 * 86_400
    os.utime(part_path(folder, 1), (old_s, old_s))
    clean_up(context.database, replace(context.settings, keep_recordings_days=9))
    assert api.get(f"/{session}/recordings")["items"] == [part]
    clean_up(context.database, context.settings)
    assert api.get(f"/{session}/recordings")["items"] == [] and not list(folder.iterdir())


@SQLITE_ONLY
def test_the_log_says_what_cannot_be_recorded(api: SessionApi, media: Path) -> None:
    make_source(media / "old.mp4", "mpeg4")
    session = api.start("old.mp4", record=True)
    assert api.wait_for_end(session)["state"] == "ended"
    [row] = [row for row in api.log(session) if row["data"].get("change") == "recording"]
    assert row["type"] == "sgmn.session/1"
    assert "video codec mpeg4 cannot be recorded without re-encoding" in row["data"]["problem"]
    assert api.get(f"/{session}/recordings")["items"] == []


def test_a_killed_worker_leaves_what_it_has_recorded(streams: StreamWorld, video: Path) -> None:
    streams.options |= {"record": True, "realtime": True}
    session = streams.add(video)
    folder = streams.folder / "sessions" / session / RECORDING_FOLDER
    with streams.supervise():
        wait_for(lambda: list_parts(folder), "a part of the recording")
        kill(streams.worker_pid(session))
        [part] = list_parts(folder)
        assert part.start_s == 0 and part.end_s > 0 and not part.is_complete
        recorded = read_packets(part_path(folder, 1))
        assert recorded and recorded == read_packets(video)[: len(recorded)]
        shutil.copy(part_path(folder, 1), streams.folder / "killed.mp4")
        wait_for(lambda: len(list_parts(folder)) == 2, "the next part")
    with av.open(str(streams.folder / "killed.mp4")) as killed:
        assert sum(1 for _ in killed.decode(video=0)) == len(recorded)


def test_a_transport_stream_is_recorded_with_its_sound(tmp_path: Path) -> None:
    source = make_source(tmp_path / "live.ts", "libx264", "aac")
    problems: list[str] = []
    folder = tmp_path / "recording"
    for _ in range(2):  # the second time replaces the first one
        recorder = StreamRecorder(folder, problems.append, lambda time_s: time_s + 100)
        with LiveSource(str(source), rate_hz=1, recorder=recorder) as frames:
            assert sum(1 for _ in frames) == 4
    [part] = list_parts(folder)
    assert not problems and part.number == 2 and part.is_complete
    assert part.start_s == 100.0 and part.end_s == pytest.approx(104.0, abs=0.11)
    with av.open(str(part_path(folder, 2))) as recorded:
        assert [stream.codec_context.name for stream in recorded.streams] == ["h264", "aac"]
        assert sum(1 for _ in recorded.decode(video=0)) == 40
    with av.open(str(part_path(folder, 2))) as recorded:
        assert sum(frame.samples for frame in recorded.decode(audio=0)) >= 62_000


def test_a_recording_that_cannot_be_written_does_not_end_the_stream(tmp_path: Path) -> None:
    source = make_source(tmp_path / "live.ts", "libx264")
    (tmp_path / "file").touch()
    problems: list[str] = []
    recorder = StreamRecorder(tmp_path / "file" / "recording", problems.append)
    with LiveSource(str(source), rate_hz=1, recorder=recorder) as frames:
        assert sum(1 for _ in frames) == 4
    assert problems == ["the recording cannot be written (Not a directory)"]
