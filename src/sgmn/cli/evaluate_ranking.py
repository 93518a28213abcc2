"""What `sgmn evaluate` does with an index: rank clips, watch streams, measure grounding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from sgmn.catalogue.index import Index
    from sgmn.data.dataset import Stream
    from sgmn.evaluation.grounding import GroundingReport
    from sgmn.evaluation.ranking import RankedClip
    from sgmn.evaluation.report import Report
    from sgmn.evaluation.stream_report import StreamResult
    from sgmn.records import Clip
    from sgmn.scale.engine import Engine
    from sgmn.workflows.evaluation_jobs import EvaluationSetup


@dataclass(frozen=True)
class ClipRanking:
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


def watch_streams(
    streams: Sequence[Stream], ranking: ClipRanking, damage: list[str]
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
