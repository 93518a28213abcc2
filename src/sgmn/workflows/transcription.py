"""The transcripts of many recordings, made by jobs that run on the machines of a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from sgmn.errors import MediaError, SgmnError
from sgmn.media.speech_engine import SpeechSettings
from sgmn.media.speech_recognition import SpeechRecognizer
from sgmn.media.subtitle_writer import SubtitleWriter
from sgmn.outputs import write_text
from sgmn.records import Utterance
from sgmn.scale.engine import Engine

FORMATS = ("json", "srt", "vtt")
# Of files in a folder; a file that is named is read whatever its suffix.
VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts", ".flv", ".avi")
SOUND_SUFFIXES = (".m4a", ".mp3", ".aac", ".ogg", ".opus", ".flac", ".wav")


class Transcription(NamedTuple):
    """What became of a recording: its utterances, or why it cannot be read."""

    recording: Path
    utterances: tuple[Utterance, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class TranscriptionJob:
    """Transcribes a recording. Each machine must see it at the same path."""

    settings: SpeechSettings

    def open(self) -> Callable[[Path], Transcription]:
        """Load the model of speech recognition."""
        recognizer = SpeechRecognizer(self.settings)

        def transcribe(recording: Path) -> Transcription:
            try:
                return Transcription(recording, tuple(recognizer.transcribe(recording)))
            except MediaError as error:  # the other recordings can be read
                return Transcription(recording, error=str(error))

        return transcribe


def find_recordings(sources: Iterable[Path]) -> list[Path]:
    """Return the files among the sources, and the recordings in folders among them, by name.

    Raises SgmnError if a source does not exist or if a folder has no recordings.
    """
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            suffixes = (*VIDEO_SUFFIXES, *SOUND_SUFFIXES)
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
    """Transcribe recordings with an engine, and write each transcript as soon as it is complete.

    Yields what became of each recording, in order. Raises SgmnError if a transcript cannot be
    written, or if speech recognition is not installed.
    """
    for result in engine.map(TranscriptionJob(settings), planned):
        if not result.error:
            write_transcript(planned[result.recording], result.utterances)
        yield result


def write_transcript(path: Path, utterances: Sequence[Utterance]) -> None:
    """Write a transcript whole or not at all; its suffix, one of FORMATS, is the format."""
    part = path.with_name(f".{path.name}")
    if path.suffix == ".json":
        write_text(part, json.dumps([asdict(u) for u in utterances], ensure_ascii=False) + "\n")
    else:
        with SubtitleWriter(part) as writer:
            for utterance in utterances:
                writer.write(utterance)
    part.replace(path)
