"""Second glances in the token cache: those that guidance directs with the words of the batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sgmn.data.dataset import read_dataset
from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.model.tokens import ItemTokens
from sgmn.training.config import DataConfig
from sgmn.training.data.batches import BatchSpec
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.examples import Examples
from sgmn.training.data.token_cache import hash_towers
from sgmn.training.data.token_edits import remove_frames
from tests.model.part_cases import enable_all_parts
from tests.training.painting import CORNERS, TRAIN

FIELDS = ("glances", "glance_patches", "glance_frames")
CLIPS = 3


@pytest.fixture
def model(tiny: Callable[[], Any]) -> ModelBundle:
    """A tiny model whose guidance listens: other words make it look elsewhere."""
    return enable_all_parts(tiny(), randomize=True)


@pytest.fixture
def examples(world: Path) -> Examples:
    """Clips that also show product p5."""
    data = read_dataset(world)
    shown = [{"time": float(n), "boxes": {"p5": [0.5, 0.5, 1.0, 1.0]}} for n in range(4)]
    clips = (replace(c, boxes=CORNERS, extra={"shown": shown}) for c in data.clips[:CLIPS])
    return Examples([replace(data, clips=tuple(clips), photos=())])


def read_batch(
    model: ModelBundle, examples: Examples, folder: Path, silent: float, counterfactual: float
) -> tuple[ItemTokens, list[ItemTokens]]:
    """A batch from the cache, and the tokens of its clips as spoken, silent and counterfactual."""
    data = DataConfig((Path(),), counterfactual_prob=counterfactual, cached_variants=1)
    train = replace(TRAIN, drop_transcript_prob=silent, max_dropped_frames_fraction=0.0)
    batches = CachedBatches(examples, model, data, train, folder)
    assert batches.fill() == []
    embedder, loaded = Embedder(model, "cpu"), [batches.load_variants(i, 0) for i in examples.items]
    frames = [embedder.encode_frames(clips[0].content.frames) for clips in loaded]
    texts = [[clips[0].content.text for clips in loaded], [""] * CLIPS]
    texts.append([clips[1].content.text for clips in loaded])
    cached = batches[BatchSpec(0, tuple(range(CLIPS)))].clips
    assert isinstance(cached, ItemTokens)
    return cached, [embedder.build_clip_tokens(frames, own) for own in texts]


@pytest.mark.parametrize(("silent", "counterfactual"), [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])
def test_cached_glances_are_those_of_the_words_in_the_batch(
    silent: float, counterfactual: float, model: ModelBundle, examples: Examples, tmp_path: Path
) -> None:
    cached, variants = read_batch(model, examples, tmp_path, silent, counterfactual)
    expected = variants.pop(2 if counterfactual else int(silent))
    for name in FIELDS:
        actual, wanted = getattr(cached, name), getattr(expected, name)
        torch.testing.assert_close(actual, wanted, atol=5e-3, rtol=0)
        assert cached.glance_mask.all()
    for other in variants:
        assert not torch.allclose(cached.glances, other.glances, atol=5e-3)


def test_glances_at_removed_frames_are_removed(model: ModelBundle, examples: Examples) -> None:
    embedder = Embedder(model, "cpu")
    frames = embedder.encode_frames([torch.zeros(8, 8, 3, dtype=torch.uint8).numpy()] * 3)
    tokens = embedder.build_clip_tokens([frames], ["red"])
    fewer = remove_frames(tokens, torch.tensor([[True, False, False]]))
    assert fewer.glance_mask.tolist() == [[frame != 0 for frame in tokens.glance_frames[0]]]


def test_entries_depend_on_the_guidance_that_directs_glances(tiny: Callable[[], Any]) -> None:
    for model, depends in ((enable_all_parts(tiny()), True), (tiny(), False)):
        before = hash_towers(model)
        with torch.no_grad():
            for parameter in model.network.parts.parameters():
                parameter.add_(1.0)
        assert (hash_towers(model) != before) == depends
