"""Samples what is said in a training clip."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sgmn.data.dataset import Photo
from sgmn.records import Clip
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.examples import Examples, Key, labeled_keys
from sgmn.training.data.phrases import load_phrases
from sgmn.training.data.synthetic_transcripts import (
    add_recognition_errors,
    compose_transcript,
    load_talking_points,
)

MAX_TRIES = 8  # to find an example of another product


class TranscriptSampler:
    """Samples transcripts of clips, and composes synthetic ones for photos."""

    def __init__(self, examples: Examples, data: DataConfig, train: TrainConfig) -> None:
        self.examples, self.train = examples, train
        self.talking_points = load_talking_points(data.talking_points, examples.products)
        self.phrases = load_phrases(data.phrases)

    def sample(self, item: Clip | Photo, others: Sequence[Key], rng: np.random.Generator) -> str:
        """Sample the transcript of an example: sometimes of another product, sometimes empty.

        others: products that the clip also shows and that may be mentioned.
        """
        draw = rng.random()
        if draw < self.train.drop_transcript_prob:
            return ""
        if draw < self.train.drop_transcript_prob + self.train.wrong_transcript_prob:
            item = self._other_item(item, rng)
        if isinstance(item, Photo):
            text = self.compose(labeled_keys(item)[0], others, rng)
        else:
            text = item.text
        return add_recognition_errors(text, self.train.drop_word_prob, rng)

    def compose_about(self, key: Key, others: Sequence[Key], rng: np.random.Generator) -> str:
        """Compose a synthetic transcript of a product as speech recognition would hear it."""
        text = self.compose(key, others, rng)
        return add_recognition_errors(text, self.train.drop_word_prob, rng)

    def compose(self, key: Key, others: Sequence[Key], rng: np.random.Generator) -> str:
        """Compose a synthetic transcript of a product that may mention others."""
        products = self.examples.products
        others_with_title = [products[k] for k in others if k != key and products[k].title]
        points = self.talking_points.get(key, ())
        return compose_transcript(products[key], others_with_title, points, rng, self.phrases)

    def _other_item(self, item: Clip | Photo, rng: np.random.Generator) -> Clip | Photo:
        """Draw an example of other products of the shop; give up after a few tries."""
        items = self.examples.items_by_shop[item.shop_id]
        own = set(self.examples.product_keys(item))
        for position in rng.integers(len(items), size=MAX_TRIES):
            candidate = items[int(position)]
            if own.isdisjoint(self.examples.product_keys(candidate)):
                return candidate
        return item
