"""Trains and evaluates the rows of an ablation.

All rows of a seed have the same steps and data. A row with results is not run again.

    OUT/tokens/                the token cache, shared by all rows
    OUT/runs/ROW/SEED/         a run for each row and seed, with a checkpoint (not baselines)
    OUT/runs/ROW/SEED/ranks.json   {dataset: {clip: rank, or null for a miss}}
    OUT/table.json, table.md   see `sgmn.training.ablation.table`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from sgmn.data.dataset import Dataset
from sgmn.product_text import build_product_text
from sgmn.records import Product
from sgmn.training.ablation.baselines.trainer import BASELINES, BaselineTrainer, apply_baseline
from sgmn.training.ablation.rows import Row
from sgmn.training.ablation.table import Ranks
from sgmn.training.config import DataConfig, RunConfig
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.examples import Examples
from sgmn.training.data.token_cache import TokenCache, hash_towers
from sgmn.training.run_setup import ProgressCallback, build_starting_model, load_examples
from sgmn.training.trainer import StepReport, Trainer
from sgmn.training.validation import Validation


@dataclass(frozen=True)
class AblationStudy:
    """Trains rows of a config and evaluates them on datasets.

    Attributes:
        config: settings that all rows share.
        examples: training examples.
        validations: evaluation datasets by name.
        out: folder of the study.
        stop_event: ends the current run when it is set, see `stop`.
    """

    config: RunConfig
    examples: Examples
    validations: Mapping[str, Validation]
    out: Path
    stop_event: Event = field(default_factory=Event)

    def run(self, row: Row, seed: int, report: Callable[[StepReport], None]) -> Ranks | None:
        """Train and evaluate a row, or read its results if there are any.

        Resumes an interrupted run. Returns the rank of each clip, or None if `stop` was called.
        """
        folder = self.out / "runs" / row.slug / str(seed)
        path = folder / "ranks.json"
        if path.exists():
            stored: Ranks = json.loads(path.read_text(encoding="utf-8"))
            return stored
        trainer = self.build_trainer(row, seed, folder)
        trainer.resume()
        if not trainer.run(report):
            return None
        ranks: Ranks = {
            name: {
                clip.clip_id: clip.rank for clip in validation.rank_clips(trainer.trained_network)
            }
            for name, validation in self.validations.items()
        }
        path.write_text(json.dumps(ranks) + "\n", encoding="utf-8")
        return ranks

    def stop(self) -> None:
        """Request the current run to end after its step; may be called from any thread."""
        self.stop_event.set()

    def build_trainer(self, row: Row, seed: int, folder: Path) -> Trainer:
        """Build the trainer of a row; all its parts are trained and the towers are frozen."""
        model_config = replace(
            self.config.model,
            parts=row.parts,
            score_terms=row.terms,
            freeze="towers",
            trainable_parts=(),
        )
        train = replace(self.config.train, seed=seed)
        model = build_starting_model(model_config, seed)
        cache = self.out / "tokens"
        batches = CachedBatches(self.examples, model, self.config.data, train, cache)
        loss = replace(self.config.loss, mining=row.mining)
        if row.baseline:
            baseline = BASELINES[row.baseline]
            apply_baseline(model.network, baseline, seed)
            return BaselineTrainer(baseline, model, batches, train, folder, loss, self.stop_event)
        return Trainer(model, batches, train, folder, loss, self.stop_event)


def prepare_ablation(
    config: RunConfig,
    evaluated: Sequence[tuple[str, Dataset]],
    out: Path,
    read: Callable[[Path], Dataset],
    progress: ProgressCallback = lambda done, total: None,
) -> tuple[AblationStudy, list[str]]:
    """Read the training data and encode everything once, before the rows run.

    Args:
        config: settings that all rows share.
        evaluated: names and datasets to evaluate on.
        out: folder of the study.
        read: reads a dataset folder.
        progress: called while the token cache is filled.

    Returns:
        The study, and one line for each example that cannot be read.
    """
    examples = load_examples(config.data, read)
    model = build_starting_model(config.model)
    batches = CachedBatches(examples, model, config.data, config.train, out / "tokens")
    errors = batches.fill(progress)
    cache = TokenCache(out / "tokens", hash_towers(model))
    validations = {
        name: Validation.create(data.clips, _with_texts(data, config.data), model, cache)
        for name, data in evaluated
    }
    for validation in validations.values():
        errors += validation.fill(progress)
    return AblationStudy(config, examples, validations, out), errors


def _with_texts(data: Dataset, config: DataConfig) -> list[Product]:
    """The products of a dataset, titled with the text that a run trains on."""
    fields = config.product_text
    return [replace(p, title=build_product_text(p, fields)) for p in data.products]
