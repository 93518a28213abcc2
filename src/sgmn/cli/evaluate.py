"""`sgmn evaluate`: measure how well an index answers a labeled dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
    flag,
)
from sgmn.errors import SgmnError

if TYPE_CHECKING:
    from sgmn.catalogue.index import Index
    from sgmn.data.dataset import Stream
    from sgmn.evaluation.grounding import GroundingReport
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport, StreamResult
    from sgmn.model.embedder import Embedder
    from sgmn.model.scoring import Modality
    from sgmn.records import Clip


DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Dataset with labeled clips or streams.")
]

GroundingOption = Annotated[
    bool,
    flag(
        "--grounding",
        help="Also measure how much attention lies on the product, and whether it follows the "
        "words. Clips need 'boxes' or 'visible_span'.",
    ),
]
WithoutTitlesOption = Annotated[
    bool, flag("--without-titles", help="Ignore the titles of all products.")
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
    grounding: GroundingOption = False,
    without_titles: WithoutTitlesOption = False,
) -> None:
    """Measure how often the index finds the product of a clip or stream.

    Ranks the products of the shop for each clip and watches each stream.
    If the dataset has both, --json FILE.json also writes FILE-streams.json.
    """
    from sgmn import outputs
    from sgmn.catalogue.index import Index
    from sgmn.evaluation.stream_report import StreamReport
    from sgmn.workflows import evaluation, loading

    selected = loading.parse_modalities(modalities)
    outputs.require_writable(json_out)
    data = read_dataset(dataset, skip_invalid)
    clips, streams, unlabeled = evaluation.select_labeled(data, split)
    if grounding and not clips:
        raise SgmnError("has no clips for --grounding", dataset, "pass a dataset with clips")
    opened_index = Index.open(index, model)
    embedder = opened_index.embedder
    meta = {"dataset": dataset.name, "split": split, "use": modalities}
    meta |= {"model": embedder.model.name, "fingerprint": opened_index.stamp.fingerprint}
    if unlabeled:
        typer.echo(f"skipped: {unlabeled} clips or streams without labels", err=True)
    damage: list[str] = []
    if clips:
        ranking = _ClipRanking(opened_index, selected, without_titles, grounding, seed)
        _publish(ranking.run(clips, meta, damage), markdown, json_out)
    if streams:
        results = _watch_streams(streams, opened_index, embedder, selected, damage)
        path = evaluation.stream_report_path(json_out, data)
        _publish(StreamReport(results, meta=meta), markdown, path)
    for line in damage:
        typer.echo(f"warning: {line}", err=True)


@dataclass(frozen=True)
class _ClipRanking:
    """How clips are ranked, and whether their grounding is measured too."""

    index: Index
    modalities: Sequence[Modality]
    without_titles: bool
    grounding: bool
    seed: int

    def run(self, clips: Sequence[Clip], meta: dict[str, str], damage: list[str]) -> Report:
        """Rank the clips under a progress bar."""
        from sgmn.cli import console
        from sgmn.evaluation.report import Report
        from sgmn.workflows.evaluation import rank_clips

        embedder, titles = self.index.embedder, self.without_titles
        ranked = rank_clips(
            clips, self.index, embedder, self.modalities, damage, without_titles=titles
        )
        queries = tuple(console.track(ranked, "ranking", len(clips)))
        grounding = self._measure_grounding(clips).to_dict() if self.grounding else None
        if titles:
            meta = meta | {"titles": "ignored"}
        return Report(queries, self.seed, meta, grounding=grounding)

    def _measure_grounding(self, clips: Sequence[Clip]) -> GroundingReport:
        from sgmn.cli import console
        from sgmn.workflows.grounding import measure_grounding

        with console.progress_bar() as bar:
            task = bar.add_task("grounding", total=len(clips))
            report = measure_grounding(
                clips,
                self.index,
                without_titles=self.without_titles,
                seed=self.seed,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        typer.echo(report.markdown())
        return report


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
