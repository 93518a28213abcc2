"""Transcribe many recordings, in this process, in several, or on a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from sgmn.errors import MediaError, SgmnError, error_reason
from sgmn.media.speech_engine import SpeechSettings
from sgmn.media.speech_recognition import SpeechRecognizer
from sgmn.media.subtitle_writer import SubtitleWriter
from sgmn.outputs import write_text
from sgmn.records import Utterance
from sgmn.scale.engine import Engine

FORMATS = ("json", "srt", "vtt")
# Of files in a folder; a file that is named is read whatever its suffix.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".flv", ".avi")
AUDIO_SUFFIXES = (".m4a", ".mp3", ".aac", ".ogg", ".opus", ".flac", ".wav")


class Transcription(NamedTuple):
    """The result for one recording: its utterances, or an error message."""

    recording: Path
    utterances: tuple[Utterance, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class TranscriptionJob:
    """Transcribes a recording. Each machine must see it at the same path."""

    settings: SpeechSettings

    def open(self) -> Callable[[Path], Transcription]:
        """Load the speech recognition model."""
        recognizer = SpeechRecognizer(self.settings)

        def transcribe(recording: Path) -> Transcription:
            try:
                return Transcription(recording, tuple(recognizer.transcribe(recording)))
            except MediaError as error:  # the other recordings can be read
                return Transcription(recording, error=str(error))

        return transcribe


def find_recordings(sources: Iterable[Path]) -> list[Path]:
    """Return the files among the sources, and the recordings in folders among them, by name.

    The paths are absolute, because workers of a cluster have other working folders.

    Raises SgmnError if a source does not exist or if a folder has no recordings.
    """
    found: list[Path] = []
    for source in (path.absolute() for path in sources):
        if source.is_dir():
            suffixes = (*VIDEO_SUFFIXES, *AUDIO_SUFFIXES)
            inside = sorted(p for p in source.iterdir() if p.suffix.lower() in suffixes)
            if not inside:
                raise SgmnError("has no recordings", source, "pass videos or sound files")
            found += inside
        elif source.exists():
            found.append(source)
        else:
            raise SgmnError("does not exist", source, "pass files, or folders of them")
    return list(dict.fromkeys(found))


def plan_transcripts(
    recordings: Sequence[Path], output: Path, file_format: str
) -> dict[Path, Path]:
    """Return the transcript of each recording: the file of its name in a folder.

    Raises SgmnError if two recordings have the same name.
    """
    planned: dict[Path, Path] = {}
    owners: dict[Path, Path] = {}
    for recording in recordings:
        transcript = output / f"{recording.stem}.{file_format}"
        other = owners.setdefault(transcript, recording)
        if other != recording:
            message = f"would have the same transcript as {other}, {transcript}"
            raise SgmnError(message, recording, "rename one, or transcribe it into another folder")
        planned[recording] = transcript
    return planned


def transcribe_recordings(
    planned: dict[Path, Path], settings: SpeechSettings, engine: Engine
) -> Iterator[Transcription]:
    """Transcribe recordings with an engine; write and yield the transcripts in order.

    Raises SgmnError if a transcript cannot be written, or if speech recognition is not installed.
    """
    for result in engine.map(TranscriptionJob(settings), planned):
        if not result.error:
            write_transcript(planned[result.recording], result.utterances)
        yield result


def write_transcript(path: Path, utterances: Sequence[Utterance]) -> None:
    """Write a transcript atomically. The suffix, one of FORMATS, selects the format."""
    part = path.with_name(f".{path.name}")
    try:
        if path.suffix == ".json":
            rows = [asdict(utterance) for utterance in utterances]
            write_text(part, json.dumps(rows, ensure_ascii=False) + "\n")
        else:
            with SubtitleWriter(part) as writer:
                for utterance in utterances:
                    writer.write(utterance)
        part.replace(path)
    except OSError as error:
        message = f"cannot be written ({error_reason(error)})"
        raise SgmnError(message, path, "free disk space, and run the command again") from error
