"""Words that a session finds by itself: subtitles of a web server, and speech recognition."""

from __future__ import annotations

import re
import threading
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from sgmn.service.settings import ServiceSettings
from tests.service.process import wait_for
from tests.service.streams.api import SessionApi
from tests.speech.conftest import RATE_HZ, require_speech, speak

# How words reach a worker does not depend on the database.
pytestmark = pytest.mark.parametrize("module_database", ["sqlite"], indirect=True)
PLAYLIST = """#EXTM3U
#EXT-X-TARGETDURATION:6
#EXTINF:6,
words.vtt
#EXT-X-ENDLIST
"""
WORDS = "WEBVTT\n\n00:00:00.000 --> 00:00:06.000\nlook at the red milk\n"


@pytest.fixture
def settings(settings: ServiceSettings) -> ServiceSettings:
    """Settings of a service that may fetch subtitles from this machine."""
    return replace(settings, allow_private_addresses=True)


def test_subtitles_reach_the_windows(api: SessionApi, tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "words.m3u8").write_text(PLAYLIST)
    (site / "words.vtt").write_text(WORDS)
    with serve_folder(site) as address:
        url = f"{address}/words.m3u8?token=secret"
        transcript = {"kind": "subtitles", "url": url, "delay_s": 1.0}
        session = api.start("stream.mp4", realtime=True, transcript=transcript)
        assert wait_for_words(api, session).startswith("look at")
    assert "secret" not in str(api.get(f"/{session}"))


def test_subtitles_that_are_missing_are_reported_and_the_stream_goes_on(
    api: SessionApi, tmp_path: Path
) -> None:
    (tmp_path / "site").mkdir()
    with serve_folder(tmp_path / "site") as address:
        transcript = {"kind": "subtitles", "url": f"{address}/words.m3u8"}
        session = api.start("stream.mp4", realtime=True, transcript=transcript)
        damage = wait_for(
            lambda: (api.get(f"/{session}/now")["stream"] or {}).get("damage"), "a report"
        )
        assert "words.m3u8" in damage[0]
        wait_for(lambda: api.get(f"/{session}/now")["now"], "a window")
        api.request("POST", f"/{session}:stop")
        api.wait_for_end(session)
    changes = [row["data"] for row in api.log(session) if row["type"] == "sgmn.session/1"]
    problems = [data["problem"] for data in changes if data["change"] == "damage"]
    assert len(problems) == 1 and problems[0].startswith(damage[0].partition(" (")[0])
    assert changes[-1]["change"] == "state" and changes[-1]["state"] == "ended"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_speech_is_recognized(api: SessionApi, media: Path, tmp_path: Path) -> None:
    require_speech()
    sentence = "look at the striped handle of this red mug"
    sound = speak(tmp_path / "a.wav", [sentence] * 3)
    add_sound(media / "stream.mp4", sound, media / "spoken.mp4")
    # Windows wait for their words until the end of the stream, so that a slow machine may be late.
    transcript = {"kind": "asr", "language": "en", "delay_s": 120.0}
    session = api.start("spoken.mp4", transcript=transcript)
    assert api.wait_for_end(session)["state"] == "ended"
    heard = set(re.findall("[a-z]+", api.get(f"/{session}/windows/3.0")["text"].lower()))
    # Whisper base mishears a word now and then ("red mud"), depending on where a piece begins.
    assert len(heard & {"striped", "handle", "red", "mug"}) >= 2, heard


def wait_for_words(api: SessionApi, session: str) -> str:
    """The words of the first window that has some."""
    text: str = wait_for(
        lambda: (api.get(f"/{session}/now")["now"] or {}).get("text"), "a window with words"
    )
    return text


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """Serve the files of a folder; yields the address."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def add_sound(video: Path, sound: Path, path: Path) -> None:
    """Write a video with a sound track."""
    with wave.open(str(sound)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    with av.open(str(video)) as pictures, av.open(str(path), "w") as target:
        track = target.add_stream_from_template(pictures.streams.video[0])
        audio = target.add_stream("aac", rate=RATE_HZ, layout="mono")
        packets = [packet for packet in pictures.demux(video=0) if packet.dts is not None]
        for packet in packets:
            packet.stream = track
            target.mux(packet)
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        target.mux([*audio.encode(frame), *audio.encode()])
