"""Compare forms of a product's text: which of title, attributes and description help, and how.

    python tools/product_texts.py DATASET [--titles own,kind,number]

DATASET is a split of a generated world with descriptions. Titles are those of the products, only
their kind ("Mug"), or a number ("Product 1834"). Each clip is encoded once and ranked with every
form, by its text alone and with its images. Tests are paired, against the title alone.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sgmn.batching import batched
from sgmn.data.dataset import Dataset, read_dataset
from sgmn.evaluation.metrics import hits_at, reciprocal_ranks
from sgmn.evaluation.ranking import rank_clip
from sgmn.evaluation.significance import paired_test
from sgmn.evaluation.tables import markdown_table
from sgmn.media.content_loader import load_clip_content, load_product_content
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import ClipVectors, ProductVectors, Term, combine_terms, compute_terms
from sgmn.model.scoring import soft_floor as apply_floor
from sgmn.product_text import TextFields, build_product_text
from sgmn.records import Clip, Product

TITLES: dict[str, Callable[[Product, int], str]] = {
    "own": lambda product, number: product.title,
    "kind": lambda product, number: str(product.attributes["kind"]).capitalize(),
    "number": lambda product, number: f"Product {1834 + number}",
}
MODALITIES = ("text", "image and text")
HEADER = ["titles", "modalities", "form", "R@1, %", "R@5, %", "MRR", "R@1 against title", "p"]
FULL: TextFields = "title+attributes+description"
Ranks = list[int | None]


class Form(NamedTuple):
    """A form of the text of S products: their vectors, and more texts (S, K, D) to choose from.

    With `more_texts`, a clip is compared with the nearest of the texts of a product.
    """

    vectors: ProductVectors
    more_texts: Tensor | None = None


class Shop(NamedTuple):
    """A shop with its encoded product images and clips."""

    products: Sequence[Product]
    images: list[object]
    clips: Sequence[Clip]
    clip_vectors: ClipVectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--titles", default="own,kind,number")
    parser.add_argument("--model", default="builtin")
    options = parser.parse_args()
    torch.set_num_threads(1)
    embedder = Embedder(checkpoint.load(options.model))
    shops = list(encode_shops(read_dataset(options.dataset), embedder))
    rows: list[list[str]] = []
    for titles in options.titles.split(","):
        ranks: dict[tuple[str, str], Ranks] = {}
        for shop in shops:
            rank_shop(embedder, shop, titles, ranks)
        rows += describe(titles, ranks)
    print(markdown_table(HEADER, rows, f"{sum(len(shop.clips) for shop in shops)} clips"))


def encode_shops(data: Dataset, embedder: Embedder) -> Iterator[Shop]:
    side = embedder.max_side
    for shop_id in sorted({product.shop_id for product in data.products}):
        products = [product for product in data.products if product.shop_id == shop_id]
        clips = [clip for clip in data.clips if clip.shop_id == shop_id]
        contents = (load_product_content(product, max_side=side) for product in products)
        images = [
            embedder.encode_images(content.images, compares_patches=True) for content in contents
        ]
        vectors = ClipVectors.cat(
            embedder.encode_clips([load_clip_content(clip, max_side=side) for clip in batch])
            for batch in batched(clips, 8)
        )
        yield Shop(products, list(images), clips, vectors)


@torch.inference_mode()
def rank_shop(
    embedder: Embedder, shop: Shop, titles: str, ranks: dict[tuple[str, str], Ranks]
) -> None:
    """Rank the products of a shop for its clips, with every form of text."""
    retitle = TITLES[titles]
    products = [replace(p, title=retitle(p, number)) for number, p in enumerate(shop.products)]
    ids = [product.product_id for product in products]
    for name, form in build_forms(embedder, shop, products).items():
        for modalities in MODALITIES:
            vectors = form.vectors
            if modalities == "text":
                vectors = vectors.select_modalities(["text"])
            scores = score(embedder, shop.clip_vectors, vectors, form.more_texts).numpy()
            ranked = (rank_clip(c, ids, row) for c, row in zip(shop.clips, scores, strict=True))
            ranks.setdefault((modalities, name), []).extend(clip.rank for clip in ranked)


def build_forms(embedder: Embedder, shop: Shop, products: Sequence[Product]) -> dict[str, Form]:
    descriptions = [str(product.attributes["description"]) for product in products]
    sentences = [split_sentences(text) for text in descriptions]

    def encode(texts: Sequence[str]) -> ProductVectors:
        tokens = embedder.build_tokens(shop.images, texts)  # type: ignore[arg-type]
        return embedder.network.parts.encode_products(tokens)

    def mix(first: ProductVectors, weight: float) -> ProductVectors:
        mean = weight * first.text + (1 - weight) * described
        return replace(first, text=functional.normalize(mean, dim=1))

    titles = [product.title for product in products]
    title, described = encode(titles), embedder.encode_texts(descriptions).pooled
    with_attributes = encode([build_product_text(p, "title+attributes") for p in products])
    by_sentence = encode_sentences(embedder, sentences)
    places = torch.einsum("skd,sd->sk", by_sentence, title.text).argmax(1).tolist()
    nearest = [own[place] if own else "" for own, place in zip(sentences, places, strict=True)]

    def join(texts: Sequence[str]) -> ProductVectors:
        pairs = zip(products, texts, strict=True)
        joined = [replace(p, attributes={"description": text}) for p, text in pairs]
        return encode([build_product_text(p, FULL) for p in joined])

    return {
        "title": Form(title),
        "title, attributes": Form(with_attributes),
        "title, description": Form(join(descriptions)),
        "title, attributes, description": Form(
            encode([build_product_text(p, FULL) for p in products])
        ),
        "title, nearest sentence": Form(join(nearest)),
        "mean of two vectors, 0.7 : 0.3": Form(mix(with_attributes, 0.7)),
        "mean of two vectors, 0.85 : 0.15": Form(mix(with_attributes, 0.85)),
        "nearest of title and description": Form(title, described.unsqueeze(1)),
        "nearest of title and sentences": Form(title, by_sentence),
    }


def split_sentences(text: str) -> list[str]:
    return [part for part in re.split(r"(?<=[.!?])\s+", text) if part]


def encode_sentences(embedder: Embedder, sentences: Sequence[Sequence[str]]) -> Tensor:
    """Encode the sentences of S products: (S, K, D), padded with zeros."""
    flat = embedder.encode_texts([text for own in sentences for text in own]).pooled
    parts = torch.split(flat, [len(own) for own in sentences])
    return torch.nn.utils.rnn.pad_sequence(list(parts), batch_first=True)


def score(
    embedder: Embedder, clips: ClipVectors, products: ProductVectors, more_texts: Tensor | None
) -> Tensor:
    """Score clips with products, (B, S); the text term takes the nearest of several texts."""
    weights = embedder.ranker.weights
    terms = compute_terms(clips, products, weights)
    if more_texts is not None:
        others = torch.einsum("bd,skd->bsk", clips.text, more_texts).amax(2)
        nearest = torch.maximum(clips.text @ products.text.mT, others)
        old = terms["text"]
        value = apply_floor(nearest, weights.text_score_floor)
        terms["text"] = Term(old.weight, value, old.presence)
    return combine_terms(terms.values())


def describe(titles: str, ranks: dict[tuple[str, str], Ranks]) -> Iterator[list[str]]:
    for (modalities, name), own in ranks.items():
        hits, base = hits_at(own, 1), hits_at(ranks[modalities, "title"], 1)
        test = paired_test(base, hits)
        difference = (
            f"{100 * test.difference:+.1f} ({100 * test.low:+.1f} to {100 * test.high:+.1f})"
        )
        figures = [f"{100 * hits.mean():.1f}", f"{100 * hits_at(own, 5).mean():.1f}"]
        figures += [f"{float(np.mean(reciprocal_ranks(own))):.3f}"]
        yield [titles, modalities, name, *figures, difference, f"{test.p:.3f}"]


if __name__ == "__main__":
    main()
