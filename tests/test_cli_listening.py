"""Words for `sgmn watch`: from a file, from a transcript that grows, from the sound itself."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sgmn import cli
from sgmn.errors import CheckpointError
from sgmn.live import session
from sgmn.media.audio import Samples
from sgmn.media.speech_recognition import Word
from sgmn.model import checkpoint
from sgmn.records import Utterance
from tests.command import Run
from tests.media.test_live_sound import talking
from tests.media.test_live_source import falls_silent, sender, sends


@pytest.fixture(scope="module")
def indexed(tiny: Callable[[], Any], world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of the six products, by a tiny model."""
    folder = tmp_path_factory.mktemp("heard")
    checkpoint.save(tiny(), folder / "model")
    arguments = ["sgmn", "index", world, "-o", folder / "index", "-m", folder / "model"]
    with pytest.MonkeyPatch.context() as patched, pytest.raises(SystemExit) as ended:
        patched.setattr(sys, "argv", [str(argument) for argument in arguments])
        cli.main()
    assert not ended.value.code
    return folder / "index"


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> dict[float, str]:
    """What each window heard, by its end."""
    found: dict[float, str] = {}
    usual = session.windows

    def noting(*given: Any, **more: Any) -> Iterator[Any]:
        for window in usual(*given, **more):
            found[window.end_s] = window.words
            yield window

    monkeypatch.setattr(session, "windows", noting)
    return found


class Tones:
    """Takes each tone for the word milk."""

    def words(self, samples: Samples) -> Iterable[Word]:
        loud = np.flatnonzero(np.abs(samples) > 0.2) / 16_000
        if len(loud):
            yield Word(float(loud[0]), float(loud[-1]), " milk")


@pytest.fixture
def tones(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """An engine that knows one word, in place of Whisper; what it was asked for."""
    asked: list[tuple[Any, ...]] = []

    def load(*given: Any) -> Tones:
        asked.append(given)
        return Tones()

    monkeypatch.setattr("sgmn.media.speech_recognition.whisper", load)
    return asked


def test_a_running_stream_is_heard_by_its_sound(
    run: Run, indexed: Path, tones: list[Any], heard: dict[float, str], tmp_path: Path
) -> None:
    data = talking(tmp_path / "a.ts", 30, [(14.0, 14.5)])
    with sender(sends(data)) as address:
        ended = run(
            *("watch", address, "-i", indexed, "--attempts", 1, "--asr", "small"),
            *("--language", "sv"),
        )
    assert ended.status == 0, ended.err
    assert tones == [("small", "sv", True, "auto")]
    saying = {end_s for end_s, words in heard.items() if words == "milk"}
    # This sender is faster than any stream, so that only the last windows surely wait enough.
    assert {22.0, 24.0} <= saying <= {16.0, 18.0, 20.0, 22.0, 24.0}


def test_a_recording_is_heard_before_it_is_watched(
    run: Run, indexed: Path, tones: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    talking(tmp_path / "a.ts", 12, [(6.0, 6.5)])
    watched: list[tuple[Utterance, ...]] = []
    usual = session.Session  # a recording needs none
    from sgmn.live.recognizer import Recognizer

    watch = Recognizer.watch

    def noting(self: Recognizer, source: Path, said: Any, *others: Any) -> Any:
        watched.append(tuple(said))
        return watch(self, source, said, *others)

    monkeypatch.setattr(Recognizer, "watch", noting)
    ended = run("watch", tmp_path / "a.ts", "-i", indexed, "--asr", "small")
    assert ended.status == 0, ended.err
    assert usual is session.Session and len(watched) == 1
    assert [u.text for u in watched[0]] == ["milk"]
    assert watched[0][0].start == pytest.approx(6.0, abs=0.15)


def test_recognition_that_fails_is_told_and_pictures_go_on(
    run: Run, indexed: Path, tones: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Tones, samples: Samples) -> Iterable[Word]:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(Tones, "words", broken)
    data = talking(tmp_path / "a.ts", 14, [(1.0, 2.0)])
    with sender(sends(data)) as address:
        ended = run("watch", address, "-i", indexed, "--attempts", 1, "--asr", "small")
    assert ended.status == 0
    assert "speech recognition ends early (out of memory)" in ended.err
    assert "14 s," in ended.out


def test_a_transcript_that_grows_is_followed(
    run: Run, indexed: Path, heard: dict[float, str], tmp_path: Path
) -> None:
    data, said = talking(tmp_path / "a.ts", 30, []), tmp_path / "said.jsonl"
    said.write_text('{"start": 24.0, "end": 25.0, "text": "lime"}\nno json\n')
    with sender(sends(data)) as address:
        ended = run("watch", address, "-i", indexed, "--attempts", 1, "-t", said, "--wait", "5")
    assert ended.status == 0, ended.err
    assert f"{said}: line 2 is no JSON" in ended.err
    assert {end_s for end_s, words in heard.items() if words == "lime"} == {26.0, 28.0, 30.0}


def test_standard_input_may_bring_the_words(
    run: Run,
    indexed: Path,
    heard: dict[float, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, said = talking(tmp_path / "a.ts", 14, []), tmp_path / "said"
    said.write_text(json.dumps({"start": 12.0, "end": 13.0, "text": "kiwi"}) + "\n")
    with said.open("rb") as file, sender(sends(data)) as address:
        monkeypatch.setattr(sys, "stdin", file)
        ended = run("watch", address, "-i", indexed, "--attempts", 1, "-t", "-", "--wait", "3")
    assert ended.status == 0, ended.err
    assert "kiwi" in heard.values()


def test_ctrl_c_does_not_wait_for_words(
    run: Run, indexed: Path, tones: list[Any], heard: dict[float, str], tmp_path: Path
) -> None:
    """The sender falls silent, so that nothing but the signal ends it."""
    data = talking(tmp_path / "a.ts", 30, [])
    before, sent_s = signal.getsignal(signal.SIGINT), list[float]()

    def interrupt() -> None:
        while not heard:  # a window: by then the signal is waited for
            time.sleep(0.05)
        if signal.getsignal(signal.SIGINT) is not before:
            sent_s.append(time.monotonic())
            os.kill(os.getpid(), signal.SIGINT)

    with sender(falls_silent(data)) as address:
        thread = threading.Thread(target=interrupt, daemon=True)
        thread.start()
        ended = run("watch", address, "-i", indexed, "--attempts", 1, "--asr", "small")
        thread.join(5)
    assert ended.status == 0, ended.err
    assert sent_s and time.monotonic() - sent_s[0] < 30  # much less than LAST_WORDS_S


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "two sources of words": (("tcp://h:1", "--asr", "small", "-t", "a.srt"), "--asr and --transc"),
    "a language for nobody": (("tcp://h:1", "--language", "sv"), "--language"),
    "no time to hear": (("a.ts", "--live", "--asr", "small"), "--pace"),
    "waiting in a recording": (("a.ts", "--wait", "3"), "--wait"),
    "waiting less than nothing": (("tcp://h:1", "--wait", "-3"), "--wait"),
    "a playlist for a recording": (("a.ts", "-t", "https://ann:s3cret@h/s.m3u8"), "running stream"),
    "lines that grow for a recording": (("a.ts", "-t", "said.jsonl"), "running stream"),
    "standard input twice": (("-", "-t", "-"), "standard input"),
    "no transcript": (("tcp://h:1", "-t", "none.jsonl"), "none.jsonl"),
}


@pytest.mark.parametrize("name", list(REFUSED))
def test_what_cannot_be_is_one_line_and_status_2(
    name: str, run: Run, indexed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    talking(Path("a.ts"), 2, [])
    given, reason = REFUSED[name]
    ended = run("watch", *given, "-i", indexed)
    lines = ended.err.strip().splitlines()
    assert ended.status == 2 and len(lines) == 1 and lines[0].startswith("sgmn: "), ended.err
    assert reason in lines[0] and "; " in lines[0] and "s3cret" not in ended.err


def test_a_model_that_is_not_there_is_refused_before_the_stream_is_opened(
    run: Run, indexed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(*given: Any) -> None:
        raise CheckpointError("cannot be loaded", "small", "give a folder")

    monkeypatch.setattr("sgmn.media.speech_recognition.whisper", load)
    ended = run("watch", "tcp://127.0.0.1:9", "-i", indexed, "--asr", "small")
    assert ended.status == 2 and "small" in ended.err and "tcp" not in ended.err
