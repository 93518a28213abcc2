"""Prepares a run: from its config to the starting model and the batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch

from sgmn.data.dataset import Dataset
from sgmn.data.tables import DatasetTables, is_large, open_tables
from sgmn.errors import SettingsError
from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.network import SGMN
from sgmn.training import distributed
from sgmn.training.config import SCORE, DataConfig, ModelConfig, RunConfig
from sgmn.training.data.batches import Batches
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.examples import Examples
from sgmn.training.data.table_examples import TableExamples

ProgressCallback = Callable[[int, int], None]  # (encoded examples, all examples)


def build_starting_model(
    config: ModelConfig, seed: int = 0, kept_parts: tuple[str, ...] | None = None
) -> ModelBundle:
    """Load the source's model and give it the parts, score terms and frozen layers of a config.

    Args:
        config: settings of the model.
        seed: of the initialization of new parts.
        kept_parts: parts of the source that keep their weights; all others and the weights of
            the score are new. None to keep everything.
    """
    model = checkpoint.load(config.source)
    source = model.network
    if config.canvases:
        source.config = replace(source.config, canvases=config.canvases)
    parts = replace(source.config.parts, enabled=config.parts)
    if kept_parts is not None:
        kept = tuple(name for name in source.config.parts.enabled if name in kept_parts)
        source = source.with_parts(replace(parts, enabled=kept), ())
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = source.with_parts(parts, config.score_terms)
    _freeze(network, config)
    return ModelBundle(network, model.tokenizer, model.name)


def _freeze(network: SGMN, config: ModelConfig) -> None:
    if config.frozen_blocks:
        network.towers.freeze_blocks(config.frozen_blocks)
    if config.freeze == "text":
        network.freeze_text()
    elif config.freeze == "towers":
        network.towers.requires_grad_(False)
    if config.trainable_parts:
        learned_score = [p for p in network.head.parameters() if p.requires_grad]
        network.freeze_text().requires_grad_(False)
        for name in config.trainable_parts:
            module = None if name == SCORE else getattr(network.parts, name)
            for parameter in learned_score if module is None else module.parameters():
                parameter.requires_grad_(True)


def checkpoint_towers(network: SGMN) -> None:
    """Let the towers recompute activations in the backward pass instead of storing them.

    Raises SettingsError if neither tower is a transformer that can.
    """
    towers = [m for m in network.towers.modules() if hasattr(m, "gradient_checkpointing_enable")]
    able = [tower for tower in towers if getattr(tower, "supports_gradient_checkpointing", False)]
    if not able:
        remedy = "set gradient_checkpointing = false, or start from a transformer such as CLIP"
        raise SettingsError("the towers cannot recompute activations", "[train]", remedy)
    for tower in cast(list[Any], able):
        # transformers renames the method; the older name will be removed.
        new_name = getattr(tower, "activation_checkpointing_enable", None)
        (new_name or tower.gradient_checkpointing_enable)({"use_reentrant": False})


def load_examples(
    config: DataConfig,
    read: Callable[[Path], Dataset],
    read_tables: Callable[[Path], DatasetTables] = open_tables,
) -> Examples:
    """Read the datasets of a config and return their examples.

    A single large dataset stays on disk, see `sgmn.data.tables`. With several processes, the first
    one builds its tables.
    """
    folder, photos = config.folders[0], config.product_images_as_photos
    if len(config.folders) == 1 and not photos and is_large(folder):
        if not distributed.is_first_process():
            distributed.wait_for_all()
        tables = read_tables(folder)
        if distributed.is_first_process():
            distributed.wait_for_all()
        return TableExamples(tables, config.split, config.clip_repeats)
    datasets = [read(folder) for folder in config.folders]
    return Examples(datasets, config.split, config.clip_repeats, photos)


def prepare_run(
    run: RunConfig,
    examples: Examples,
    cache: Path,
    progress: ProgressCallback = lambda done, total: None,
) -> tuple[ModelBundle, Batches, list[str]]:
    """Build the model and the batches of a run; with frozen towers, fill the token cache first.

    Args:
        run: settings of the run.
        examples: see `load_examples`.
        cache: folder of the token cache.
        progress: called while the cache is filled.

    Returns:
        The model, the batches, and one line for each example that cannot be read.
    """
    model = build_starting_model(run.model, run.train.seed)
    if run.train.gradient_checkpointing:
        checkpoint_towers(model.network)
    if run.model.freeze != "towers":
        looks_twice = model.network.parts.glance is not None
        side = model.network.max_side if looks_twice else None
        batches = Batches(examples, model.preprocessor, run.data, run.train, side)
        batches.looks_twice = looks_twice
        return model, batches, []
    cached = CachedBatches(examples, model, run.data, run.train, cache)
    return model, cached, cached.fill(progress)
