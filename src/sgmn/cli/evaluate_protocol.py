"""`sgmn evaluate --protocol`: evaluate an imported benchmark as its paper does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from sgmn.evaluation.report import Report

ProtocolOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        metavar="NAME",
        help="Evaluate the output of `sgmn import NAME` by its own protocol: lpr4m or "
        "movingfashion. Needs no index.",
    ),
]
GalleryOption = Annotated[
    str,
    typer.Option(
        "--gallery",
        metavar="NAME",
        help="Gallery of the protocol: main or full (lpr4m), test or all (movingfashion). "
        "Default: the first.",
    ),
]
TrecOption = Annotated[
    Path | None,
    typer.Option("--trec", metavar="FOLDER", help="Write run.txt and qrels.txt of the clips."),
]
PredictionsOption = Annotated[
    Path | None,
    typer.Option(
        "--predictions", metavar="FILE", help="Write the predictions of the clips as Parquet."
    ),
]
MAX_GROUPS = 40  # LPR4M has 34 categories


@dataclass(frozen=True)
class ProtocolRun:
    """What to evaluate, as the command line names it; see `sgmn evaluate`."""

    folder: Path
    protocol: str
    gallery: str
    model: str | None
    runtime: str
    modalities: str
    without_titles: bool
    seed: int
    trec: Path | None
    predictions: Path | None

    def evaluate(self, damage: list[str]) -> Report:
        """Rank all queries under a progress bar, and write the files for other programs."""
        from sgmn.cli import console
        from sgmn.evaluation.exchange import ResultFiles
        from sgmn.evaluation.protocols.protocol import find_protocol
        from sgmn.evaluation.report import Report
        from sgmn.model import checkpoint
        from sgmn.model.embedder import Embedder
        from sgmn.workflows import loading
        from sgmn.workflows.benchmark_evaluation import rank_benchmark, read_benchmark

        protocol = find_protocol(self.protocol)
        name = protocol.require_gallery(self.gallery)
        selected = loading.parse_modalities(self.modalities)
        benchmark = read_benchmark(self.folder, protocol, name)
        model = checkpoint.load(self.model or "builtin")
        embedder = Embedder(model, runtime=self.runtime)
        meta: dict[str, Any] = {"dataset": self.folder.name, "split": "test"}
        meta |= {"use": self.modalities, "model": model.name, "fingerprint": model.fingerprint()}
        meta |= {"protocol": protocol.name, "gallery": name, "missing": len(benchmark.missing)}
        meta |= {"runtime": embedder.runtime}
        meta |= {"titles": "ignored"} if self.without_titles else {}
        with ResultFiles(self.trec, self.predictions, model.name, meta) as files:
            ranked = rank_benchmark(
                benchmark,
                embedder,
                selected,
                damage,
                without_titles=self.without_titles,
                depth=files.depth,
            )
            results = tuple(console.track(files.write(ranked), "ranking", len(benchmark)))
        return Report(results, self.seed, meta, protocol.ks, max_groups=MAX_GROUPS)
