"""`sgmn calibrate`: fit the confidence and the timeline of a model to your own data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sgmn.cli.datasets import read_dataset
from sgmn.cli.options import IndexOption, ModelOption, SkipInvalidOption, SplitOption

if TYPE_CHECKING:
    from sgmn.workflows.calibration import Calibrator, LabeledData
    from sgmn.workflows.confidence import Measurement

DatasetsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="DATASET",
        help="Datasets with labeled clips or streams that the model was not trained on. "
        "Several datasets count equally.",
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FOLDER",
        help="Write a calibrated copy of the model. Defaults to changing the model's folder.",
    ),
]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Measure the model without fitting or storing anything.")
]
PlotOption = Annotated[
    Path | None,
    typer.Option("--plot", metavar="FILE", help="Write a reliability diagram (.svg or .png)."),
]


def calibrate(
    datasets: DatasetsArgument,
    index: IndexOption,
    model: ModelOption = None,
    output: OutputOption = None,
    check: CheckOption = False,
    split: SplitOption = "",
    skip_invalid: SkipInvalidOption = False,
    plot: PlotOption = None,
) -> None:
    """Fit a model's confidence and timeline to your own data, and store the result in the model.

    Fits the weight and the floor of the text score and the temperature on clips, and the
    timeline settings on streams. Prints how well confidences match the share of correct answers,
    before and after. The index stays valid, because no embedding changes.
    """
    from sgmn import outputs
    from sgmn.catalogue.index import Index
    from sgmn.cli import console
    from sgmn.report.line_plot import require_plot_suffix
    from sgmn.workflows import calibration

    outputs.require_writable(plot)
    if plot is not None:
        require_plot_suffix(plot)
    data = _read_data(datasets, split, skip_invalid)
    opened_index = Index.open(index, model)
    embedder = opened_index.embedder
    if output is None and not check:
        calibration.require_own_checkpoint(embedder.model.name)
    calibrator = calibration.Calibrator(data, opened_index, embedder, console.track)
    if check:
        _publish({"now": calibrator.measure()}, calibrator, plot)
        return
    result = calibrator.calibrate()
    _publish({"before": result.before, "after": result.after}, calibrator, plot)
    folder = calibration.store_calibration(embedder, result.calibration, output)
    for table, values in result.calibration.items():
        typer.echo(f"{table}: " + ", ".join(f"{key} {value:g}" for key, value in values.items()))
    typer.echo(f"stored in {folder}" + (f"; use it with --model {folder}" if output else ""))


def _read_data(folders: Sequence[Path], split: str, skip_invalid: bool) -> list[LabeledData]:
    from sgmn.workflows.calibration import LabeledData
    from sgmn.workflows.evaluation import select_labeled

    selected = (select_labeled(read_dataset(folder, skip_invalid), split) for folder in folders)
    return [LabeledData(clips, streams) for clips, streams, _ in selected]


def _publish(
    measurements: dict[str, Measurement], calibrator: Calibrator, plot: Path | None
) -> None:
    """Print the figures and write the diagram."""
    from sgmn.workflows.confidence import confidence_table, reliability_diagram

    typer.echo(confidence_table(measurements))
    for name, measurement in measurements.items():
        if measurement.time_right is not None:
            typer.echo(f"time correct, {name}: {measurement.time_right:.1%}")
    if plot is not None:
        reliability_diagram(measurements).save(plot)
    for note in calibrator.notes:
        typer.echo(note, err=True)
    for line in calibrator.damage:
        typer.echo(f"warning: {line}", err=True)
