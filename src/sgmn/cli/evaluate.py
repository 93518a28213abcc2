"""`sgmn evaluate`: measure how well an index answers a labeled dataset."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.datasets import read_dataset
from sgmn.cli.options import (
    ALL_MODALITIES,
    IndexOption,
    JsonOption,
    MarkdownOption,
    ModalitiesOption,
    ModelOption,
    SeedOption,
    SkipInvalidOption,
    SplitOption,
)

if TYPE_CHECKING:
    from sgmn.catalogue.index import Index
    from sgmn.data.dataset import Stream
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport, StreamResult
    from sgmn.model.embedder import Embedder
    from sgmn.model.scoring import Modality


DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Dataset with labeled clips or streams.")
]


def evaluate(
    dataset: DatasetArgument,
    index: IndexOption,
    model: ModelOption = None,
    modalities: ModalitiesOption = ALL_MODALITIES,
    split: SplitOption = "",
    skip_invalid: SkipInvalidOption = False,
    json_out: JsonOption = None,
    seed: SeedOption = 0,
    markdown: MarkdownOption = False,
    grounding: Annotated[
        bool,
        typer.Option(
            "--grounding",
            help="Also measure how much attention lies on the product, and whether it follows "
            "the words. Clips need 'boxes' or 'visible_span'.",
        ),
    ] = False,
    without_titles: Annotated[
        bool, typer.Option("--without-titles", help="Ignore the titles of all products.")
    ] = False,
) -> None:
    """Measure how often the index finds the product of a clip or stream.

    Ranks the products of the shop for each clip and watches each stream.
    If the dataset has both, --json FILE.json also writes FILE-streams.json.
    """
    from sgmn import outputs
    from sgmn.catalogue.index import Index
    from sgmn.cli import console
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport
    from sgmn.workflows import evaluation, loading

    selected = loading.parse_modalities(modalities)
    outputs.require_writable(json_out)
    data = read_dataset(dataset, skip_invalid)
    clips, streams, unlabeled = evaluation.select_labeled(data, split)
    opened_index = Index.open(index, model)
    embedder = opened_index.embedder
    meta = {"dataset": dataset.name, "split": split, "use": modalities}
    meta |= {"model": embedder.model.name, "fingerprint": opened_index.stamp.fingerprint}
    if unlabeled:
        typer.echo(f"skipped: {unlabeled} clips or streams without labels", err=True)
    damage: list[str] = []
    if clips:
        ranked = evaluation.rank_clips(clips, opened_index, embedder, selected, damage)
        report = Report(tuple(console.track(ranked, "ranking", len(clips))), seed, meta)
        _publish(report, markdown, json_out)
    if streams:
        results = _watch_streams(streams, opened_index, embedder, selected, damage)
        path = evaluation.stream_report_path(json_out, data)
        _publish(StreamReport(results, meta=meta), markdown, path)
    for line in damage:
        typer.echo(f"warning: {line}", err=True)


def _watch_streams(
    streams: Sequence[Stream],
    index: Index,
    embedder: Embedder,
    modalities: Sequence[Modality],
    damage: list[str],
) -> tuple[StreamResult, ...]:
    """Watch each stream with the products of its shop, under a progress bar."""
    from sgmn.cli import console
    from sgmn.live.recognizer import StreamRecognizer
    from sgmn.workflows import evaluation, loading

    shelves = loading.ShelfCache(index, modalities)

    def recognizer(shop_id: str) -> StreamRecognizer:
        return StreamRecognizer(embedder, shelves[shop_id], modalities=tuple(modalities))

    results = evaluation.recognize_streams(streams, recognizer, damage)
    return tuple(console.track(results, "watching", len(streams)))


def _publish(report: Report | StreamReport, markdown: bool, json_out: Path | None) -> None:
    """Write a report as JSON where requested, then print it."""
    from sgmn import outputs
    from sgmn.cli import console

    if json_out is not None:
        outputs.write_text(json_out, report.to_json() + "\n")
    if markdown:
        typer.echo(report.markdown())
    else:
        console.out.print(report.table())
