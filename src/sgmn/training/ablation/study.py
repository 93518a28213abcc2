"""Trains and evaluates the rows of an ablation.

All rows of a seed have the same steps and data. A row with results is not run again.

    OUT/tokens/                the token cache, shared by all rows
    OUT/runs/ROW/SEED/         a run for each row and seed, with a checkpoint (not baselines)
    OUT/runs/ROW/SEED/ranks.json     {dataset: {clip: rank, or null for a miss}}
    OUT/runs/ROW/SEED/answers.json   {dataset: {clip: [the first product ids]}}
    OUT/table.json, table.md   see `sgmn.training.ablation.table`
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from sgmn.data.dataset import Dataset
from sgmn.errors import SettingsError
from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.parts import DEFAULT_PARTS
from sgmn.product_text import build_product_text
from sgmn.records import Product
from sgmn.training.ablation.baselines.trainer import BASELINES, BaselineTrainer, apply_baseline
from sgmn.training.ablation.rows import Row
from sgmn.training.ablation.table import Ranks
from sgmn.training.config import SCORE, DataConfig, ModelConfig, RunConfig
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.examples import Examples
from sgmn.training.data.token_cache import TokenCache, hash_towers
from sgmn.training.run_setup import ProgressCallback, build_starting_model, load_examples
from sgmn.training.trainer import StepReport, Trainer
from sgmn.training.validation import Validation

ANSWERS, ANSWERS_FILE = 5, "answers.json"  # first products of each clip, for sheets


@dataclass(frozen=True)
class AblationStudy:
    """Trains rows of a config and evaluates them on datasets.

    Attributes:
        config: settings that all rows share.
        examples: training examples.
        encoder: encodes clips and products for all rows.
        validations: evaluation datasets by name.
        out: folder of the study.
        stop_event: ends the current run when it is set, see `stop`.
    """

    config: RunConfig
    examples: Examples
    encoder: ModelBundle
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
        is_trained = not row.baseline or BASELINES[row.baseline].is_trained
        if is_trained and not trainer.run(report):
            return None
        ranked = {
            name: list(validation.rank_clips(trainer.trained_network))
            for name, validation in self.validations.items()
        }
        answers = {n: {c.clip_id: c.best[:ANSWERS] for c in clips} for n, clips in ranked.items()}
        ranks: Ranks = {n: {c.clip_id: c.rank for c in clips} for n, clips in ranked.items()}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ANSWERS_FILE).write_text(json.dumps(answers) + "\n", encoding="utf-8")
        path.write_text(json.dumps(ranks) + "\n", encoding="utf-8")
        return ranks

    def stop(self) -> None:
        """Request the current run to end after its step; may be called from any thread."""
        self.stop_event.set()

    def build_trainer(self, row: Row, seed: int, folder: Path) -> Trainer:
        """Build the trainer of a row; all its parts are trained and the towers are frozen."""
        train = replace(self.config.train, seed=seed)
        model = build_row_model(self.config.model, row, seed)
        batches = CachedBatches(
            self.examples, self.encoder, self.config.data, train, self.out / "tokens"
        )
        loss = replace(self.config.loss, mining=row.mining)
        if row.baseline:
            baseline = BASELINES[row.baseline]
            apply_baseline(model.network, baseline, seed)
            return BaselineTrainer(baseline, model, batches, train, folder, loss, self.stop_event)
        return Trainer(model, batches, train, folder, loss, self.stop_event)


def build_row_model(config: ModelConfig, row: Row, seed: int) -> ModelBundle:
    """Build the starting model of a row: the towers of the source and untrained parts.

    A row that looks twice keeps the guidance of the source, which has chosen the second glances
    in the token cache.
    """
    learned = [part for part in row.parts if part not in ("guidance", "instances")]
    config = replace(
        config,
        parts=row.parts,
        score_terms=row.terms,
        freeze="towers",
        trainable_parts=(*learned, SCORE) if row.looks_twice else (),
    )
    return build_starting_model(config, seed, ("guidance",) if row.looks_twice else ())


def _build_encoder(config: ModelConfig, rows: Sequence[Row]) -> ModelBundle:
    """Build the model that fills the token cache; it looks twice if any of the rows does.

    It has parts that read patches and words, because some row may.

    Raises SettingsError if it should, and the source cannot tell where to look.
    """
    full = Row("", DEFAULT_PARTS, (), False)
    row = next((row for row in rows if row.looks_twice), full)
    if row.looks_twice and not _has_guidance(config.source):
        raise SettingsError(
            "the source has no guidance that tells where to look twice",
            config.source,
            f'start from a model with guidance such as "builtin", or leave out {row.name!r}',
        )
    return build_row_model(config, row, 0)


def _has_guidance(source: str) -> bool:
    return "guidance" in checkpoint.load(source).network.config.parts.enabled


def prepare_ablation(
    config: RunConfig,
    evaluated: Sequence[tuple[str, Dataset]],
    out: Path,
    read: Callable[[Path], Dataset],
    progress: ProgressCallback = lambda done, total: None,
    rows: Sequence[Row] = (),
) -> tuple[AblationStudy, list[str]]:
    """Read the training data and encode everything once, before the rows run.

    Args:
        config: settings that all rows share.
        evaluated: names and datasets to evaluate on.
        out: folder of the study.
        read: reads a dataset folder.
        progress: called while the token cache is filled.
        rows: the rows that will run.

    Returns:
        The study, and one line for each example that cannot be read.
    """
    examples = load_examples(config.data, read)
    encoder = _build_encoder(config.model, rows)
    batches = CachedBatches(examples, encoder, config.data, config.train, out / "tokens")
    errors = batches.fill(progress)
    cache = TokenCache(out / "tokens", hash_towers(encoder))
    validations = {
        name: Validation.create(data.clips, _with_texts(data, config.data), encoder, cache)
        for name, data in evaluated
    }
    for validation in validations.values():
        errors += validation.fill(progress)
    return AblationStudy(config, examples, encoder, validations, out), errors


def _with_texts(data: Dataset, config: DataConfig) -> list[Product]:
    """The products of a dataset, titled with the text that a run trains on."""
    fields = config.product_text
    return [replace(p, title=build_product_text(p, fields)) for p in data.products]
