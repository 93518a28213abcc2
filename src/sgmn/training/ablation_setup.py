"""An ablation's data, read and encoded once before its rows run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from sgmn.data.dataset import Dataset
from sgmn.training import config as configs
from sgmn.training.ablation import Ablation
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.token_cache import TokenCache, towers_hash
from sgmn.training.run_setup import Progress, examples_of, starting_model
from sgmn.training.validation import Validation


def prepared(
    path: Path,
    evaluated: Sequence[tuple[str, Dataset]],
    out: Path,
    read: Callable[[Path], Dataset],
    progress: Progress = lambda done, total: None,
) -> tuple[Ablation, list[str]]:
    """The ablation of a config file, its cache filled; lines about what could not be read."""
    run = configs.read(path)
    examples = examples_of(run.data, read)
    model = starting_model(run.model)
    batches = CachedBatches(examples, model, run.data, run.train, out / "tokens")
    damage = batches.fill(progress)
    cache = TokenCache(out / "tokens", towers_hash(model))
    validations = {
        name: Validation.of(data.clips, data.products, model, cache) for name, data in evaluated
    }
    for validation in validations.values():
        damage += validation.fill(progress)
    return Ablation(run, examples, validations, out), damage
