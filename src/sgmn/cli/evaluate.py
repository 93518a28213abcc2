"""`sgmn evaluate`: measure how well an index answers a labeled dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.datasets import read_dataset
from sgmn.cli.evaluate_protocol import (
    GalleryOption,
    PredictionsOption,
    ProtocolOption,
    ProtocolRun,
    TrecOption,
)
from sgmn.cli.options import (
    ALL_MODALITIES,
    AddressOption,
    EffortOption,
    EngineOption,
    JsonOption,
    MarkdownOption,
    ModalitiesOption,
    ModelOption,
    RuntimeOption,
    SeedOption,
    SkipInvalidOption,
    SplitOption,
    flag,
)
from sgmn.errors import SgmnError
from sgmn.model.runtimes import TORCH
from sgmn.scale.engines import LOCAL, open_engine

if TYPE_CHECKING:
    from sgmn.catalogue.index import Index
    from sgmn.data.dataset import Dataset, Stream
    from sgmn.evaluation.grounding import GroundingReport
    from sgmn.evaluation.ranking import RankedClip
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport, StreamResult
    from sgmn.records import Clip
    from sgmn.scale.engine import Engine
    from sgmn.workflows.evaluation_jobs import EvaluationSetup


DatasetArgument = Annotated[
    Path, typer.Argument(metavar="DATASET", help="Dataset with labeled clips or streams.")
]
OptionalIndexOption = Annotated[
    str | None,
    typer.Option(
        "--index",
        "-i",
        metavar="FOLDER",
        help="Index created by `sgmn index`: a folder, or an address such as s3://BUCKET/FOLDER. "
        "Required without --protocol.",
    ),
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
    index: OptionalIndexOption = None,
    model: ModelOption = None,
    runtime: RuntimeOption = TORCH,
    effort: EffortOption = "exact",
    modalities: ModalitiesOption = ALL_MODALITIES,
    split: SplitOption = "",
    skip_invalid: SkipInvalidOption = False,
    json_out: JsonOption = None,
    seed: SeedOption = 0,
    markdown: MarkdownOption = False,
    grounding: GroundingOption = False,
    without_titles: WithoutTitlesOption = False,
    protocol: ProtocolOption = None,
    gallery: GalleryOption = "",
    trec: TrecOption = None,
    predictions: PredictionsOption = None,
    engine: EngineOption = LOCAL,
    address: AddressOption = None,
) -> None:
    """Measure how often the product of a clip or stream is found.

    Ranks the products of the shop for each clip and watches each stream, with an index.
    If the dataset has both, --json FILE.json also writes FILE-streams.json.
    With --protocol, evaluates an imported benchmark in the gallery of its protocol.
    """
    from sgmn import outputs
    from sgmn.catalogue.index import Index
    from sgmn.live.effort import parse_effort
    from sgmn.workflows import loading
    from sgmn.workflows.evaluation_jobs import EvaluationSetup

    outputs.require_writable(json_out, predictions, trec and trec / "run.txt")
    damage: list[str] = []
    if protocol is not None:
        _require_absent({"--index": index, "--split": split, "--grounding": grounding})
        _require_absent({"--engine": engine != LOCAL, "--address": address})
        names = (dataset, protocol, gallery, model, runtime, modalities)
        run = ProtocolRun(*names, without_titles, seed, trec, predictions).evaluate(damage)
        _publish(run, markdown, json_out)
    elif index is None:
        raise SgmnError("is missing", "--index", "pass --index FOLDER, or --protocol NAME")
    else:
        selected, data = loading.parse_modalities(modalities), read_dataset(dataset, skip_invalid)
        _require_clips(grounding, data, split)
        where = (data.root.absolute(), index, model, runtime)
        setup = EvaluationSetup(*where, selected, without_titles, parse_effort(effort))
        meta = {"dataset": dataset.name, "split": split, "use": modalities}
        with open_engine(engine, address) as cluster:
            opened = Index.open(index, model, runtime)
            ranking = _ClipRanking(opened, setup, cluster, grounding, seed, trec, predictions)
            _evaluate_with_index(data, ranking, meta, damage, markdown, json_out)
    _print_warnings(damage)


def _print_warnings(damage: Sequence[str]) -> None:
    for line in damage:
        typer.echo(f"warning: {line}", err=True)


def _require_clips(grounding: bool, data: Dataset, split: str) -> None:
    """Refuse --grounding for a dataset of streams only."""
    from sgmn.workflows import evaluation

    if grounding and not evaluation.select_labeled(data, split)[0]:
        raise SgmnError("has no clips for --grounding", data.root, "pass a dataset with clips")


def _require_absent(options: dict[str, object]) -> None:
    """Refuse options that have no meaning with --protocol."""
    for name, value in options.items():
        if value:
            raise SgmnError("cannot be combined with --protocol", name, "leave one of them out")


def _evaluate_with_index(
    data: Dataset,
    ranking: _ClipRanking,
    meta: dict[str, str],
    damage: list[str],
    markdown: bool,
    json_out: Path | None,
) -> None:
    """Rank the clips of a dataset and watch its streams."""
    from sgmn.evaluation.stream_report import StreamReport
    from sgmn.workflows import evaluation

    clips, streams, unlabeled = evaluation.select_labeled(data, meta["split"])
    embedder, stamp = ranking.index.embedder, ranking.index.stamp
    meta |= {"model": embedder.model.name, "fingerprint": stamp.fingerprint}
    meta |= {"text": stamp.text_fields, "runtime": embedder.runtime}
    if unlabeled:
        typer.echo(f"skipped: {unlabeled} clips or streams without labels", err=True)
    if clips:
        _publish(ranking.run(clips, meta, damage), markdown, json_out)
    if streams:
        results = _watch_streams(streams, ranking, damage)
        path = evaluation.stream_report_path(json_out, data)
        meta |= {"effort": ranking.setup.effort}
        _publish(StreamReport(results, meta=meta), markdown, path)


@dataclass(frozen=True)
class _ClipRanking:
    """How clips are ranked, whether their grounding is measured too, and which files to write.

    `engine` None ranks in this process.
    """

    index: Index
    setup: EvaluationSetup
    engine: Engine | None
    grounding: bool
    seed: int
    trec: Path | None
    predictions: Path | None

    def run(self, clips: Sequence[Clip], meta: dict[str, str], damage: list[str]) -> Report:
        """Rank the clips under a progress bar."""
        from sgmn.cli import console
        from sgmn.evaluation.exchange import ResultFiles
        from sgmn.evaluation.report import Report

        if self.setup.without_titles:
            meta = meta | {"titles": "ignored"}
        with ResultFiles(self.trec, self.predictions, meta["model"], meta) as files:
            ranked = self._rank(clips, files.depth, damage)
            queries = tuple(console.track(files.write(ranked), "ranking", len(clips)))
        grounding = self._measure_grounding(clips).to_dict() if self.grounding else None
        return Report(queries, self.seed, meta, grounding=grounding)

    def _rank(self, clips: Sequence[Clip], depth: int, damage: list[str]) -> Iterator[RankedClip]:
        from sgmn.workflows import evaluation, evaluation_jobs

        setup = self.setup
        if self.engine is not None:
            return evaluation_jobs.rank_clips(clips, setup, self.engine, damage, depth)
        return evaluation.rank_clips(
            clips,
            self.index,
            self.index.embedder,
            setup.modalities,
            damage,
            without_titles=setup.without_titles,
            depth=depth,
        )

    def _measure_grounding(self, clips: Sequence[Clip]) -> GroundingReport:
        from sgmn.cli import console
        from sgmn.workflows.grounding import measure_grounding

        with console.progress_bar() as bar:
            task = bar.add_task("grounding", total=len(clips))
            report = measure_grounding(
                clips,
                self.index,
                without_titles=self.setup.without_titles,
                seed=self.seed,
                progress=lambda done, total: bar.update(task, completed=done, total=total),
            )
        typer.echo(report.markdown())
        return report


def _watch_streams(
    streams: Sequence[Stream], ranking: _ClipRanking, damage: list[str]
) -> tuple[StreamResult, ...]:
    """Watch each stream with the products of its shop, under a progress bar."""
    from sgmn.cli import console
    from sgmn.workflows import evaluation, evaluation_jobs

    if ranking.engine is None:
        recognizer_of = evaluation_jobs.recognizers(ranking.index, ranking.setup)
        results = evaluation.recognize_streams(streams, recognizer_of, damage)
    else:
        results = evaluation_jobs.watch_streams(streams, ranking.setup, ranking.engine, damage)
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
