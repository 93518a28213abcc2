"""`sgmn transcribe` with the real Whisper base on a Ray cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from sgmn.evaluation.word_errors import word_error_rate
from sgmn.media.transcript import read_transcript
from tests.command import RunCommand
from tests.speech.conftest import speak

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SENTENCES = {
    "a": "look at the striped handle of this red mug",
    "b": "and we ship it to your home today",
}


def test_recordings_are_transcribed_on_a_cluster(run: RunCommand, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="needs the extra ray")
    for name, sentence in SENTENCES.items():
        speak(tmp_path / f"{name}.wav", [sentence])
    how = ("--asr", "base", "--language", "en", "--engine", "ray")
    result = run("transcribe", tmp_path, "-o", tmp_path / "out", *how)
    assert result.status == 0, result.err
    pairs = []
    for name, sentence in SENTENCES.items():
        utterances = read_transcript(tmp_path / "out" / f"{name}.json")
        pairs.append((sentence, " ".join(utterance.text for utterance in utterances)))
    assert word_error_rate(pairs) <= 0.15
