"""The words that speech recognition should expect while the products of a shop are on sale."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from sgmn.records import Product

__all__ = ["select_hot_words"]

_NAME_ATTRIBUTES = ("brand", "name")
_WORD = re.compile(r"[^\W\d_]{3,}")
_MAX_WORDS = 90  # Whisper's prompt has room for about 220 tokens


def select_hot_words(products: Sequence[Product]) -> str:
    """Return the most frequent words of the brands and names, separated by commas.

    A product without the attributes "brand" and "name" contributes the words of its title.
    """
    counts: Counter[str] = Counter()
    for product in products:
        names = [
            str(product.attributes[key]) for key in _NAME_ATTRIBUTES if key in product.attributes
        ]
        counts.update(_WORD.findall(" ".join(names) or product.title))
    return ", ".join(word for word, _ in counts.most_common(_MAX_WORDS))
