"""Transcripts of recordings, cached by the content of the recording and the recognizer."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from sgmn.errors import MediaError, error_reason
from sgmn.media.speech_recognition import SpeechRecognizer
from sgmn.media.transcript import parse_utterance
from sgmn.records import Utterance

__all__ = ["TranscriptCache"]

_LOG = logging.getLogger("sgmn.media")
_VERSION = 1  # increase it when the same model gives another transcript


class TranscriptCache:
    """Transcribes each recording once.

    A transcript is stored when it is complete, in one step: an interrupted run leaves none, and
    one that cannot be read is made again.

    Args:
        folder: Holds one JSON file per transcript. It is created when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def transcribe(
        self,
        recognizer: SpeechRecognizer,
        source: Path,
        progress: Callable[[float], None] | None = None,
    ) -> tuple[Utterance, ...]:
        """Return the transcript of a recording, from the cache if it is there.

        Args:
            recognizer: Transcribes a new recording.
            source: The recording. The transcript is found again after it was moved or renamed.
            progress: Called with the seconds that are transcribed.

        Raises:
            MediaError: If the recording cannot be opened.
        """
        if not source.is_file():
            return tuple(recognizer.transcribe(source, progress))
        path = self._folder / f"{_compute_key(recognizer, source)}.json"
        utterances = _read(path)
        if utterances is None:
            utterances = tuple(recognizer.transcribe(source, progress))
            if utterances:  # a recording without audio warns about it each time
                self._write(path, utterances)
        return utterances

    def _write(self, path: Path, utterances: Sequence[Utterance]) -> None:
        content = json.dumps([{"start": u.start, "end": u.end, "text": u.text} for u in utterances])
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(
                "w", dir=self._folder, suffix=".part", delete=False, encoding="utf-8"
            ) as file:
                file.write(content)
            Path(file.name).replace(path)
        except OSError as error:
            _LOG.warning(f"{path}: the transcript is not cached ({error_reason(error)})")


def _compute_key(recognizer: SpeechRecognizer, source: Path) -> str:
    try:
        with source.open("rb") as file:
            content_hash = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"cannot be opened ({error_reason(error)})"
        raise MediaError(message, source, "pass a video file") from error
    settings = recognizer.settings
    parts = (
        _VERSION,
        content_hash,
        recognizer.model_id,
        settings.language,
        settings.vad,
        settings.hot_words,
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _read(path: Path) -> tuple[Utterance, ...] | None:
    """Return a cached transcript; None if there is none that can be read."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            parse_utterance(entry, f"entry {number}", path)
            for number, entry in enumerate(entries, start=1)
        )
    except (OSError, ValueError, TypeError, MediaError):
        return None
