"""`sgmn transcribe`: recognize the speech of many recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import AddressOption, EngineOption, ProcessesOption
from sgmn.errors import SettingsError, SgmnError
from sgmn.scale.engines import LOCAL, open_engine

if TYPE_CHECKING:
    from sgmn.media.speech_engine import SpeechSettings
    from sgmn.scale.engine import Engine

SourcesArgument = Annotated[
    list[Path],
    typer.Argument(metavar="RECORDING", help="Video or audio files, or folders of them."),
]
OutputOption = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FOLDER", help="Folder for the transcripts."),
]
FormatOption = Annotated[
    str, typer.Option("--format", metavar="NAME", help="Format of a transcript: json, srt or vtt.")
]
AsrOption = Annotated[
    str,
    typer.Option(
        "--asr",
        metavar="MODEL",
        help="Whisper model: auto, a name such as small, or the folder of a model.",
    ),
]
LanguageOption = Annotated[
    str,
    typer.Option(
        "--language",
        metavar="CODE",
        help="Spoken language, e.g. en. Recommended: without it, Whisper detects the language of "
        "each audio window on its own.",
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Transcribe recordings again if FOLDER has their transcript."),
]


def transcribe(
    recordings: SourcesArgument,
    output: OutputOption,
    file_format: FormatOption = "json",
    asr: AsrOption = "auto",
    language: LanguageOption = "",
    overwrite: OverwriteOption = False,
    engine: EngineOption = LOCAL,
    address: AddressOption = None,
    processes: ProcessesOption = 1,
) -> None:
    """Recognize the speech of recordings, for `sgmn watch --transcript`.

    Writes FOLDER/NAME.json for a recording NAME.mp4. If the command is interrupted, run it again:
    it continues with the recordings that have no transcript yet.
    """
    from sgmn.media.speech_engine import SpeechSettings
    from sgmn.outputs import require_writable
    from sgmn.workflows.transcription import FORMATS, find_recordings, plan_transcripts

    if file_format not in FORMATS:
        remedy = f"pass one of {', '.join(FORMATS)}"
        raise SettingsError(f"is {file_format!r}", "--format", remedy)
    planned = plan_transcripts(find_recordings(recordings), output, file_format)
    missing = {r: t for r, t in planned.items() if overwrite or not t.exists()}
    if kept := len(planned) - len(missing):
        typer.echo(f"{kept} of {len(planned)} recordings already have a transcript")
    if not missing:
        return
    require_writable(*missing.values())
    threads = _count_threads() if engine == LOCAL and processes == 1 else 1
    model = str(Path(asr).absolute()) if Path(asr).is_dir() else asr  # for workers elsewhere
    settings = SpeechSettings(model, language, cpu_threads=threads)
    with open_engine(engine, address, processes) as cluster:
        failed = _transcribe(missing, settings, cluster)
    if failed:
        remedy = "see the messages above, and correct or remove these files"
        raise SgmnError(f"{failed} of {len(planned)} cannot be transcribed", "recordings", remedy)


def _count_threads() -> int:
    import torch

    return torch.get_num_threads()


def _transcribe(planned: dict[Path, Path], settings: SpeechSettings, engine: Engine | None) -> int:
    """Transcribe recordings and print a line for each; return how many cannot be read."""
    from sgmn.cli import console
    from sgmn.scale.engine import LocalEngine
    from sgmn.workflows.transcription import transcribe_recordings

    failed = 0
    with console.progress_bar() as bar:
        task = bar.add_task("transcribing", total=len(planned))
        for result in transcribe_recordings(planned, settings, engine or LocalEngine()):
            bar.advance(task)
            if result.error:
                failed += 1
                typer.echo(result.error, err=True)
            else:
                path = planned[result.recording]
                typer.echo(f"{path}: {_describe(result.utterances)}")
    return failed


def _describe(utterances: Sequence[object]) -> str:
    count = len(utterances)
    return f"{count} utterance{'s' if count > 1 else ''}" if count else "no speech"
