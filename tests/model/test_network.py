"""An untrained network equals its backbone, and the score of a clip is independent of its batch."""

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
from sgmn.model.bundle import ModelBundle
from sgmn.model.embedder import Embedder
from sgmn.model.inputs import Preprocessor
from sgmn.records import ClipContent, ImageArray, ProductContent
from tests.conftest import noise

FAMILIES = ("clip", "siglip", "chinese_clip")
TRANSCRIPTS = ("hello this is red milk", "", "today we have green apple juice for you")
TITLES = ("red milk", "green apple", "blue juice", "apple juice")
CLIP = ((0.4815, 0.4578, 0.4082), (0.2686, 0.2613, 0.2758))
MEAN_STD = {"clip": CLIP, "chinese_clip": CLIP, "siglip": ((0.5,) * 3, (0.5,) * 3)}


def draw_contents(rng: np.random.Generator) -> tuple[list[ClipContent], list[ProductContent]]:
    clips = [
        ClipContent(tuple(noise(rng) for _ in range(count)), text)
        for count, text in zip((3, 5, 1), TRANSCRIPTS, strict=True)
    ]
    return clips, [ProductContent((noise(rng, 32, 32),), title) for title in TITLES]


class Backbone:
    """Mean-pooled retrieval with a text score, on transformers alone, one item at a time."""

    def __init__(self, folder: Path, preprocessor: Preprocessor) -> None:
        from transformers import AutoModel

        self.model: Any = AutoModel.from_pretrained(folder).eval()
        self.family, self.preprocessor = self.model.config.model_type, preprocessor

    def encode_image(self, image: ImageArray) -> Tensor:
        pixels = self.preprocessor.prepare_images([image]).groups[0][1].float() / 255
        mean, std = (torch.tensor(v)[:, None, None] for v in MEAN_STD[self.family])
        output = self.model.get_image_features(pixel_values=(pixels - mean) / std)
        return normalize(output.pooler_output[0], dim=-1)

    def encode_text(self, text: str) -> Tensor:
        options = {"padding": "max_length", "max_length": 16} if self.family == "siglip" else {}
        tokens = self.preprocessor.tokenizer(text, return_tensors="pt", **options)
        if self.family == "siglip":
            del tokens["attention_mask"]
        tokens.pop("token_type_ids", None)
        return normalize(self.model.get_text_features(**tokens).pooler_output[0], dim=-1)

    def score(self, clip: ClipContent, product: ProductContent) -> Tensor:
        frames = torch.stack([self.encode_image(frame) for frame in clip.frames])
        image = normalize(frames.mean(0), dim=-1) @ self.encode_image(product.images[0])
        if not clip.text:
            return image * 1.5  # the weight of the missing text term goes to the image term
        return image + 0.5 * self.encode_text(clip.text) @ self.encode_text(product.title)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_an_untrained_network_equals_its_mean_pooled_backbone(
    family: str, backbone: Callable[[str], Path], rng: np.random.Generator
) -> None:
    clips, products = draw_contents(rng)
    model = checkpoint.load(backbone(family))
    preprocessor = model.preprocessor
    inputs = preprocessor.prepare_clips(clips), preprocessor.prepare_products(products)
    plain = Backbone(backbone(family), preprocessor)
    rows = [torch.stack([plain.score(clip, product) for product in products]) for clip in clips]
    torch.testing.assert_close(model.network(*inputs), torch.stack(rows), atol=1e-5, rtol=0)


@torch.no_grad()
def test_an_untrained_composed_model_encodes_text_as_its_text_tower(
    tiny: Callable[[], ModelBundle],
) -> None:
    model = tiny()
    texts = Embedder(model).encode_texts(["red milk", "", "green apple"])
    tokens = model.tokenizer("green apple", return_tensors="pt")
    tokens.pop("token_type_ids", None)
    tower: Any = model.network.towers.text
    expected = normalize(tower(**tokens).last_hidden_state[0].mean(0), dim=-1)
    torch.testing.assert_close(texts.pooled[2], expected, atol=1e-5, rtol=0)
    assert texts.has_text.tolist() == [True, False, True]


@pytest.mark.parametrize("family", [*FAMILIES, "composed"])
def test_a_single_clip_scores_as_in_a_batch(
    family: str,
    backbone: Callable[[str], Path],
    tiny: Callable[[], ModelBundle],
    rng: np.random.Generator,
) -> None:
    embedder = Embedder(tiny() if family == "composed" else checkpoint.load(backbone(family)))
    clips, products = draw_contents(rng)
    shelf = embedder.encode_products(products)
    batched = embedder.ranker.score(embedder.encode_clips(clips), shelf)
    for row, clip in enumerate(clips):
        single = embedder.ranker.score(embedder.encode_clips([clip]), shelf)
        torch.testing.assert_close(batched[row], single[0], atol=1e-5, rtol=0)


def test_the_embedder_equals_the_network(
    tiny: Callable[[], ModelBundle], rng: np.random.Generator
) -> None:
    model = tiny()
    clips, products = draw_contents(rng)
    embedder = Embedder(model, batch_size=2)  # several batches
    shelf = embedder.encode_products(products)
    actual = embedder.ranker.score(embedder.encode_clips(clips), shelf)
    preprocessor = model.preprocessor
    with torch.no_grad():
        expected = model.network(
            preprocessor.prepare_clips(clips), preprocessor.prepare_products(products)
        )
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_missing_modalities_are_marked(
    tiny: Callable[[], ModelBundle], rng: np.random.Generator
) -> None:
    embedder = Embedder(tiny())
    clips = embedder.encode_clips([ClipContent((), "red milk"), ClipContent((noise(rng),), " ")])
    assert clips.has_image.tolist() == [False, True]
    assert clips.has_text.tolist() == [True, False]
    shelf = embedder.encode_products([ProductContent((), "milk"), ProductContent((noise(rng),))])
    assert embedder.ranker.score(clips, shelf).isfinite().all()


def test_long_transcripts_are_not_truncated(tiny: Callable[[], ModelBundle]) -> None:
    embedder = Embedder(tiny())
    max_tokens = embedder.preprocessor.max_tokens
    start = "milk " * max_tokens
    short, long = embedder.encode_texts([start, start + "apple " * max_tokens]).pooled
    assert (short - long).norm() > 1e-3


def test_an_untrained_product_is_the_mean_of_its_views(
    tiny: Callable[[], ModelBundle], rng: np.random.Generator
) -> None:
    embedder = Embedder(tiny())
    front, back = noise(rng), noise(rng)
    image = embedder.encode_products([ProductContent((front, back), "milk")]).image[0]
    mean = embedder.encode_images([front, back]).pooled.mean(0)
    torch.testing.assert_close(image, normalize(mean, dim=-1), atol=1e-6, rtol=0)


def test_a_frozen_text_tower_has_no_gradient_and_no_dropout(
    tiny: Callable[[], ModelBundle], rng: np.random.Generator
) -> None:
    model = tiny()
    network = model.network.freeze_text().train()
    towers: Any = network.towers
    assert not towers.text.training
    clips, products = draw_contents(rng)
    inputs = model.preprocessor.prepare_clips(clips), model.preprocessor.prepare_products(products)
    network(*inputs).sum().backward()
    assert all(parameter.grad is None for parameter in towers.text.parameters())
    assert towers.text_projection.weight.grad.abs().sum() > 0
    assert towers.image_projection.weight.grad.abs().sum() > 0
