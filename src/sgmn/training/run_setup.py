"""From the config of a run to its model and its batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from sgmn.data.dataset import Dataset
from sgmn.model import checkpoint
from sgmn.model.bundle import Model
from sgmn.training.config import DataConfig, ModelConfig, RunConfig
from sgmn.training.data.batches import Batches
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.examples import Examples

Progress = Callable[[int, int], None]  # how many are encoded, of how many


def starting_model(config: ModelConfig, seed: int = 0) -> Model:
    """The source's model with the parts and terms of the config, and what is frozen frozen.

    What of the parts is random at first follows from `seed`.
    """
    model = checkpoint.load(config.source)
    if config.canvases:
        model.network.config = replace(model.network.config, canvases=config.canvases)
    parts = replace(model.network.config.parts, kept=config.parts)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = model.network.with_parts(parts, config.terms)
    if config.still:
        network.towers.hold(config.still)
    if config.freeze == "text":
        network.freeze_text()
    elif config.freeze == "towers":
        network.towers.requires_grad_(False)
    if config.learn:
        network.freeze_text().requires_grad_(False)
        for name in config.learn:
            getattr(network.parts, name).requires_grad_(True)
    return Model(network, model.tokenizer, model.name)


def examples_of(config: DataConfig, read: Callable[[Path], Dataset]) -> Examples:
    """What the config's folders hold to learn from."""
    datasets = [read(folder) for folder in config.folders]
    return Examples(datasets, config.split, config.clip_times, config.views)


def started(
    run: RunConfig, examples: Examples, cache: Path, progress: Progress = lambda done, total: None
) -> tuple[Model, Batches, list[str]]:
    """The model and batches of a run, and lines about what could not be encoded.

    With the towers frozen, the folder `cache` is filled first.
    """
    model = starting_model(run.model, run.train.seed)
    if run.model.freeze != "towers":
        return model, Batches(examples, model.preparation, run.data, run.train), []
    batches = CachedBatches(examples, model, run.data, run.train, cache)
    return model, batches, batches.fill(progress)
