"""`sgmn evaluate`: measure how well an index answers a labeled dataset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn import outputs
from sgmn.cli.datasets import read_dataset
from sgmn.cli.evaluate_protocol import (
    GalleryOption,
    PredictionsOption,
    ProtocolOption,
    ProtocolRun,
    TrecOption,
)
from sgmn.cli.evaluate_ranking import ClipRanking, watch_streams
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
)
from sgmn.errors import SgmnError
from sgmn.model.runtimes import TORCH
from sgmn.scale.engines import LOCAL, open_engine

if TYPE_CHECKING:
    from sgmn.data.dataset import Dataset
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamReport
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
    typer.Option(
        "--grounding",
        help="Also measure how much attention lies on the product, and whether it follows the "
        "words. Clips need 'boxes' or 'visible_span'.",
    ),
]
WithoutTitlesOption = Annotated[
    bool, typer.Option("--without-titles", help="Ignore the titles of all products.")
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
    outputs.require_writable(json_out, predictions, trec and trec / "run.txt")
    damage: list[str] = []
    if protocol is not None:
        _require_absent(index, split, grounding, engine, address)
        names = (dataset, protocol, gallery, model, runtime, modalities)
        run = ProtocolRun(*names, without_titles, seed, trec, predictions)
        _publish(run.evaluate(damage), markdown, json_out)
    elif index is None:
        raise SgmnError("is missing", "--index", "pass --index FOLDER, or --protocol NAME")
    else:
        setup = _build_setup(dataset, index, model, runtime, modalities, without_titles, effort)
        data = read_dataset(dataset, skip_invalid)
        _require_clips(grounding, data, split)
        meta = {"dataset": dataset.name, "split": split, "use": modalities}
        with _open_ranking(setup, engine, address, grounding, seed, trec, predictions) as ranking:
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


def _require_absent(
    index: str | None, split: str, grounding: bool, engine: str, address: str | None
) -> None:
    """Refuse options that have no meaning with --protocol."""
    options = {"--index": index, "--split": split, "--grounding": grounding}
    options |= {"--engine": engine != LOCAL, "--address": address}
    for name, value in options.items():
        if value:
            raise SgmnError("cannot be combined with --protocol", name, "leave one of them out")


def _build_setup(
    dataset: Path,
    index: str,
    model: str | None,
    runtime: str,
    modalities: str,
    without_titles: bool,
    effort: str,
) -> EvaluationSetup:
    """Check the options of an evaluation, and put them together."""
    from sgmn.live.effort import parse_effort
    from sgmn.workflows import loading
    from sgmn.workflows.evaluation_jobs import EvaluationSetup

    where = (dataset.absolute(), index, model, runtime)
    selected = loading.parse_modalities(modalities)
    return EvaluationSetup(*where, selected, without_titles, parse_effort(effort))


@contextmanager
def _open_ranking(
    setup: EvaluationSetup,
    engine: str,
    address: str | None,
    grounding: bool,
    seed: int,
    trec: Path | None,
    predictions: Path | None,
) -> Iterator[ClipRanking]:
    """Open the engine, then the index: Ray has to start before LanceDB is imported."""
    with open_engine(engine, address) as cluster:
        from sgmn.catalogue.index import Index

        index = Index.open(setup.index, setup.model, setup.runtime)
        yield ClipRanking(index, setup, cluster, grounding, seed, trec, predictions)


def _evaluate_with_index(
    data: Dataset,
    ranking: ClipRanking,
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
        results = watch_streams(streams, ranking, damage)
        path = evaluation.stream_report_path(json_out, data)
        meta |= {"effort": ranking.setup.effort}
        _publish(StreamReport(results, meta=meta), markdown, path)


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
