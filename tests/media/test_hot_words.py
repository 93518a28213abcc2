"""The words that speech recognition expects."""

from __future__ import annotations

from sgmn.media.hot_words import select_hot_words
from sgmn.records import Product


def test_brands_and_names_come_before_titles_and_each_word_once() -> None:
    attributes = {"brand": "Seaxano", "name": "Rustic Choice", "kind": "cereal", "size": "300 g"}
    products = [
        Product("a", "SEAXANO Rustic Choice cereal 300 g", attributes=attributes),
        Product("b", "SEAXANO cereal", attributes={"brand": "Seaxano"}),
        Product("c", "Oat milk, 1 l"),
    ]
    assert select_hot_words(products) == "Seaxano, Rustic, Choice, Oat, milk"


def test_the_most_frequent_words_are_kept() -> None:
    products = [
        Product(str(n), f"Lime number{'abcdefghij'[n % 10]}{'klmnopqrst'[n // 10]}")
        for n in range(100)
    ]
    words = select_hot_words(products).split(", ")
    assert words[0] == "Lime" and len(words) == 90


def test_no_products_no_words() -> None:
    assert select_hot_words([]) == ""
