"""`sgmn transcribe`: many recordings, some of which cannot be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sgmn.media.speech_engine import SpeechSettings
from sgmn.media.transcript import read_transcript
from tests.command import RunCommand
from tests.media.tones import ToneEngine, write_tone_video


@pytest.fixture(autouse=True)
def loads(monkeypatch: pytest.MonkeyPatch) -> list[SpeechSettings]:
    """Replace Whisper by a ToneEngine; the settings of each load."""
    loads: list[SpeechSettings] = []

    def load(settings: SpeechSettings) -> ToneEngine:
        loads.append(settings)
        return ToneEngine()

    monkeypatch.setattr("sgmn.media.speech_recognition.load_whisper", load)
    return loads


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """A folder with a recording that has a word at 6 s, and a silent one."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    write_tone_video(folder / "spoken.ts", 9, [(6.0, 6.5)])
    write_tone_video(folder / "silent.ts", 3, [])
    (folder / "notes.txt").write_text("not a recording")
    return folder


@pytest.mark.parametrize("name", ["json", "srt", "vtt"])
def test_each_recording_of_a_folder_gets_a_transcript(
    run: RunCommand, recordings: Path, tmp_path: Path, name: str, loads: list[SpeechSettings]
) -> None:
    out = tmp_path / "out"
    result = run(
        *("transcribe", recordings, "-o", out, "--format", name),
        *("--asr", "small", "--language", "sv"),
    )
    assert result.status == 0, result.err
    assert sorted(path.name for path in out.iterdir()) == [f"silent.{name}", f"spoken.{name}"]
    assert f"{out / f'silent.{name}'}: no speech" in result.out
    assert f"{out / f'spoken.{name}'}: 1 utterance\n" in result.out
    (utterance,) = read_transcript(out / f"spoken.{name}")
    assert utterance.text == "tone" and utterance.start == pytest.approx(6.0, abs=0.15)
    assert read_transcript(out / f"silent.{name}") == ()
    [settings] = loads
    assert (settings.model, settings.language) == ("small", "sv")


def test_what_is_transcribed_is_left_alone(
    run: RunCommand, recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "spoken.json").write_text("[]")
    result = run("transcribe", recordings, "-o", out)
    assert result.status == 0 and "1 of 2 recordings already have a transcript" in result.out
    assert json.loads((out / "spoken.json").read_text()) == [] and (out / "silent.json").exists()
    assert run("transcribe", recordings, "-o", out, "--overwrite").status == 0
    assert len(json.loads((out / "spoken.json").read_text())) == 1


def test_a_recording_that_cannot_be_read_does_not_stop_the_others(
    run: RunCommand, recordings: Path, tmp_path: Path
) -> None:
    (recordings / "a.mp4").write_bytes(b"no video")
    result = run("transcribe", recordings, "-o", tmp_path / "out")
    assert result.status == 2
    lines = result.err.splitlines()
    assert lines[0].startswith(str(recordings / "a.mp4"))
    assert lines[-1].startswith("sgmn: recordings: 1 of 3 cannot be transcribed; see the")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"silent.json", "spoken.json"}


def test_two_recordings_of_one_name_are_refused(
    run: RunCommand, recordings: Path, tmp_path: Path
) -> None:
    other = write_other(tmp_path)
    result = run("transcribe", recordings, other, "-o", tmp_path / "out")
    assert result.status == 2 and not (tmp_path / "out").exists()
    assert f"{other}: would have the same transcript as {recordings / 'spoken.ts'}" in result.err


def write_other(folder: Path) -> Path:
    path = folder / "spoken.ts"
    write_tone_video(path, 3, [])
    return path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.mp4",), "missing.mp4: does not exist"),
        ((".",), "has no recordings"),
        (("notes.txt", "--format", "doc"), "--format: is 'doc'; pass one of json, srt, vtt"),
        (("notes.txt", "--address", "auto"), "--address: needs --engine ray"),
    ],
)
def test_bad_input_is_one_line(
    run: RunCommand,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    (tmp_path / "notes.txt").write_text("x")
    monkeypatch.chdir(tmp_path)
    result = run("transcribe", *arguments, "-o", "out")
    assert result.status == 2 and message in result.err and result.err.count("\n") == 1
