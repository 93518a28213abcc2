"""`sgmn embed`: the vectors of clips."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.options import (
    AddressOption,
    EngineOption,
    ProcessesOption,
    RuntimeOption,
    SkipInvalidOption,
    SplitOption,
)
from sgmn.errors import SgmnError
from sgmn.scale.engines import LOCAL, open_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sgmn.records import Clip
    from sgmn.scale.engine import Engine
    from sgmn.workflows.clip_embeddings import EmbeddingJob, EmbeddingTable

DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Dataset with clips, labeled or not.")
]
OutputOption = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="LanceDB database for the table 'clips', created or continued: a folder, or an "
        "address such as s3://BUCKET/FOLDER.",
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Model: 'builtin', a checkpoint folder, or the folder or hub name of a backbone.",
    ),
]


def embed(
    dataset: DatasetArgument,
    output: OutputOption,
    model: ModelOption = "builtin",
    runtime: RuntimeOption = "torch",
    split: SplitOption = "",
    skip_invalid: SkipInvalidOption = False,
    engine: EngineOption = LOCAL,
    address: AddressOption = None,
    processes: ProcessesOption = 1,
) -> None:
    """Write the image vector and the text vector of each clip of a dataset to a Lance table.

    If the command is interrupted, run it again: it continues with the clips that are not in the
    table yet.
    """
    from sgmn.data.dataset import read_dataset

    data = read_dataset(dataset.absolute(), skip_invalid=skip_invalid)
    for issue in data.rejected_rows:
        typer.echo(str(issue), err=True)
    clips = [clip for clip in data.clips if not split or clip.split == split]
    if not clips:
        remedy = "pass a dataset with clips.jsonl, and --split only if its clips have splits"
        raise SgmnError("has no clips to embed", dataset, remedy)
    with open_engine(engine, address, processes) as cluster:
        # Ray has to start before LanceDB is imported.
        from sgmn.workflows.clip_embeddings import EmbeddingJob, open_table

        table = open_table(output, model)
        stamp = table.stamp
        job = EmbeddingJob(stamp.name, stamp.fingerprint, _absolute(runtime))
        known = table.clip_ids()
        missing = [clip for clip in clips if clip.clip_id not in known]
        if kept := len(clips) - len(missing):
            typer.echo(f"{kept} of {len(clips)} clips are in the table already")
        unreadable = _embed(missing, table, job, cluster) if missing else 0
    typer.echo(f"{output}: {len(missing) - unreadable} clips added")
    if unreadable:
        remedy = "see the messages above, correct these clips, and run the command again"
        raise SgmnError(f"{unreadable} of {len(clips)} cannot be read", "clips", remedy)


def _absolute(runtime: str) -> str:
    """A runtime for workers, which have another working directory."""
    return str(Path(runtime).absolute()) if Path(runtime).is_dir() else runtime


def _embed(
    clips: Sequence[Clip], table: EmbeddingTable, job: EmbeddingJob, engine: Engine | None
) -> int:
    """Embed clips and print what is damaged; return how many cannot be read."""
    from sgmn.cli import console
    from sgmn.scale.engine import LocalEngine
    from sgmn.workflows.clip_embeddings import embed_clips

    unreadable = 0
    with console.progress_bar() as bar:
        task = bar.add_task("embedding", total=len(clips))
        for progress in embed_clips(clips, table, job, engine or LocalEngine()):
            bar.advance(task, progress.clips)
            unreadable += progress.unreadable
            for line in progress.damage:
                typer.echo(line, err=True)
    return unreadable
