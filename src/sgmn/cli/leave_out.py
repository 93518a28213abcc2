"""`sgmn leave-out`: measure what each part of a trained model contributes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgmn.cli.datasets import read_dataset
from sgmn.cli.options import ALL_MODALITIES, ModalitiesOption, SkipInvalidOption, SplitOption
from sgmn.errors import SgmnError


def leave_out(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Checkpoint folder, or 'builtin'.")],
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset with labeled clips.")],
    catalogue: Annotated[
        Path | None,
        typer.Option(
            "--catalogue", metavar="FOLDER", help="Products for a dataset that lists none."
        ),
    ] = None,
    split: SplitOption = "",
    modalities: ModalitiesOption = ALL_MODALITIES,
    skip_invalid: SkipInvalidOption = False,
) -> None:
    """Measure what each part of a trained model contributes, by leaving it out.

    Prints R@1 and MRR of the complete model, of its towers alone, and of the model without
    each of its parts and score terms, with paired tests. Nothing is retrained; use
    `sgmn ablate` to train each variant.
    """
    from sgmn.cli import console
    from sgmn.model import checkpoint
    from sgmn.workflows import evaluation, loading
    from sgmn.workflows import leave_out as workflow

    selected = loading.parse_modalities(modalities)
    data = read_dataset(dataset, skip_invalid)
    clips, _, _ = evaluation.select_labeled(data, split)
    if not clips:
        remedy = "pass a dataset with clips that have product_ids"
        raise SgmnError("has no labeled clip", dataset, remedy)
    products = read_dataset(catalogue, skip_invalid).products if catalogue else data.products
    loaded = checkpoint.load(model)
    with console.progress_bar() as bar:
        task = bar.add_task("encoding", total=None)
        result = workflow.leave_out(
            loaded,
            clips,
            products,
            selected,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    typer.echo(result.markdown())
    for line in result.damage:
        typer.echo(f"warning: {line}", err=True)
