"""`sgmn robustness`: measure what a model loses when clips get worse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sgmn.cli.datasets import read_dataset
from sgmn.cli.options import (
    IndexOption,
    JsonOption,
    ModelOption,
    SeedOption,
    SkipInvalidOption,
    SplitOption,
)


def robustness(
    dataset: Annotated[Path, typer.Argument(metavar="DATASET", help="Dataset with labeled clips.")],
    index: IndexOption,
    model: ModelOption = None,
    split: SplitOption = "",
    skip_invalid: SkipInvalidOption = False,
    json_out: JsonOption = None,
    seed: SeedOption = 0,
) -> None:
    """Measure how much accuracy a model loses on degraded clips, one change at a time.

    Ranks each clip unchanged, without its transcript, with the transcript of another clip,
    in low light, at low resolution, and so on, and prints a Markdown table with paired tests.
    Each clip is ranked ten times, so this takes much longer than `sgmn evaluate`.
    """
    from sgmn import outputs
    from sgmn.catalogue.index import Index
    from sgmn.cli import console
    from sgmn.evaluation.robustness_report import compute_figures, robustness_table
    from sgmn.workflows import evaluation
    from sgmn.workflows.robustness import RobustnessTest, report_json

    outputs.require_writable(json_out)
    clips, _, _ = evaluation.select_labeled(read_dataset(dataset, skip_invalid), split)
    opened_index = Index.open(index, model)
    embedder = opened_index.embedder
    test = RobustnessTest(clips, opened_index, embedder, seed)
    answers = list(console.track(test.rank_clips(), "ranking", len(clips)))
    figures = compute_figures(answers, seed)
    if json_out is not None:
        meta = {"dataset": dataset.name, "split": split, "clips": len(clips), "seed": seed}
        meta |= {"model": embedder.model.name, "fingerprint": opened_index.stamp.fingerprint}
        outputs.write_text(json_out, report_json(meta, clips, figures))
    typer.echo(robustness_table(figures))
    for line in test.damage:
        typer.echo(f"warning: {line}", err=True)
