"""A fresh network equals its backbone, and a clip's answer does not depend on its neighbours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize

from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.model.inputs import Preprocessor
from sgmn.records import ClipContent, ProductContent
from tests.conftest import noise

FAMILIES = ("clip", "siglip", "chinese_clip")
SAID = ("hello this is red milk", "", "today we have green apple juice for you")
TITLES = ("red milk", "green apple", "blue juice", "apple juice")


def contents(rng: np.random.Generator) -> tuple[list[ClipContent], list[ProductContent]]:
    clips = [
        ClipContent(tuple(noise(rng) for _ in range(count)), words)
        for count, words in zip((3, 5, 1), SAID, strict=True)
    ]
    return clips, [ProductContent((noise(rng, 32, 32),), title) for title in TITLES]


def plainly(folder: Path, prepare: Preprocessor, clips: Any, products: Any) -> Tensor:
    """Mean-pooled retrieval with a text score, written on transformers alone, item by item."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    config = prepare

    def see(picture: Any) -> Tensor:
        pixels = config.prepare_images([picture]).groups[0][1].float() / 255
        mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN_STD[model.config.model_type]))
        found = model.get_image_features(pixel_values=(pixels - mean) / std)
        return normalize(found.pooler_output[0], dim=-1)

    def say(text: str) -> Tensor:
        length = {"siglip": {"padding": "max_length", "max_length": 16}}
        tokens = prepare.tokenizer(
            text, return_tensors="pt", **length.get(model.config.model_type, {})
        )
        if model.config.model_type == "siglip":
            del tokens["attention_mask"]
        tokens.pop("token_type_ids", None)
        return normalize(model.get_text_features(**tokens).pooler_output[0], dim=-1)

    out = torch.zeros(len(clips), len(products))
    for i, clip in enumerate(clips):
        v = normalize(torch.stack([see(frame) for frame in clip.frames]).mean(0), dim=-1)
        for j, product in enumerate(products):
            out[i, j] = v @ see(product.images[0])
            if clip.text:
                out[i, j] += 0.5 * say(clip.text) @ say(product.title)
            else:
                out[i, j] *= 1.5  # renormalised: the missing term's weight goes to the rest
    return out


CLIP = ((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758))
MEAN_STD = {"clip": CLIP, "chinese_clip": CLIP, "siglip": ((0.5,) * 3, (0.5,) * 3)}


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_untrained_equals_mean_pooled_backbone(
    family: str, backbone: Callable[[str], Path], rng: np.random.Generator
) -> None:
    clips, products = contents(rng)
    model = checkpoint.load(backbone(family))
    prepare = model.preprocessor
    found = model.network(prepare.prepare_clips(clips), prepare.prepare_products(products))
    expected = plainly(backbone(family), prepare, clips, products)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_untrained_composed_ranks_words_as_its_text_tower(tiny: Callable[[], Any]) -> None:
    model = tiny()
    words = Embedder(model).encode_texts(["red milk", "", "green apple"])
    tokens = model.tokenizer("green apple", return_tensors="pt")
    tokens.pop("token_type_ids", None)
    alone = model.network.towers.text(**tokens).last_hidden_state[0].mean(0)
    torch.testing.assert_close(words.pooled[2], normalize(alone, dim=-1), atol=1e-5, rtol=0)
    assert words.has_text.tolist() == [True, False, True]


@pytest.mark.parametrize("family", [*FAMILIES, "composed"])
def test_a_clip_alone_equals_the_same_clip_in_a_batch(
    family: str, backbone: Callable[[str], Path], tiny: Callable[[], Any], rng: np.random.Generator
) -> None:
    embedder = Embedder(tiny() if family == "composed" else checkpoint.load(backbone(family)))
    clips, products = contents(rng)
    shelf = embedder.encode_products(products)
    together = embedder.ranker.score(embedder.encode_clips(clips), shelf)
    for row, clip in enumerate(clips):
        alone = embedder.ranker.score(embedder.encode_clips([clip]), shelf)
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=0)


def test_embedder_equals_network(tiny: Callable[[], Any], rng: np.random.Generator) -> None:
    model = tiny()
    clips, products = contents(rng)
    embedder = Embedder(model, batch_size=2)  # many small batches
    found = embedder.ranker.score(embedder.encode_clips(clips), embedder.encode_products(products))
    with torch.no_grad():
        prepare = model.preprocessor
        expected = model.network(prepare.prepare_clips(clips), prepare.prepare_products(products))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_clips_without_frames_or_words_are_said_to_be_so(
    tiny: Callable[[], Any], rng: np.random.Generator
) -> None:
    embedder = Embedder(tiny())
    found = embedder.encode_clips([ClipContent((), "red milk"), ClipContent((noise(rng),), " ")])
    assert found.has_image.tolist() == [False, True]
    assert found.has_text.tolist() == [True, False]
    shelf = embedder.encode_products([ProductContent((), "milk"), ProductContent((noise(rng),))])
    assert embedder.ranker.score(found, shelf).isfinite().all()


def test_long_transcripts_are_read_to_their_end(tiny: Callable[[], Any]) -> None:
    embedder = Embedder(tiny())
    most = embedder.preprocessor.max_tokens
    start = "milk " * most
    one, other = embedder.encode_texts([start, start + "apple " * most]).pooled
    assert (one - other).norm() > 1e-3


def test_views_of_a_product_count_alike(tiny: Callable[[], Any], rng: np.random.Generator) -> None:
    embedder = Embedder(tiny())
    front, back = noise(rng), noise(rng)
    both = embedder.encode_products([ProductContent((front, back), "milk")]).image[0]
    mean = embedder.encode_images([front, back]).pooled.mean(0)
    torch.testing.assert_close(both, normalize(mean, dim=-1), atol=1e-6, rtol=0)


def test_frozen_text_gets_no_gradient_and_no_dropout(
    tiny: Callable[[], Any], rng: np.random.Generator
) -> None:
    network = tiny().network.freeze_text().train()
    assert not network.towers.text.training
    clips, products = contents(rng)
    prepare = tiny().preprocessor
    network(prepare.prepare_clips(clips), prepare.prepare_products(products)).sum().backward()
    assert all(p.grad is None for p in network.towers.text.parameters())
    assert network.towers.text_projection.weight.grad.abs().sum() > 0
    assert network.towers.image_projection.weight.grad.abs().sum() > 0
