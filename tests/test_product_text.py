"""The text of a product: title first, no repetitions, and a limited description."""

from __future__ import annotations

import pytest

from sgmn.errors import SgmnError
from sgmn.product_text import (
    MAX_DESCRIPTION_LENGTH,
    TextFields,
    build_product_text,
    parse_text_fields,
)
from sgmn.records import Product

FULL: TextFields = "title+attributes+description"


def scarf(title: str = "Wool scarf", **attributes: object) -> Product:
    return Product("p", title, attributes=attributes, image=None if title else "p.jpg")  # type: ignore[arg-type]


def test_the_title_alone_is_unchanged() -> None:
    product = scarf(" Wool  scarf. ", color="red", description="Soft.")
    assert build_product_text(product) == " Wool  scarf. "


def test_attributes_follow_the_title_in_order_and_once() -> None:
    product = scarf("Red wool scarf", brand="Oro", size=42, color="red", pattern="striped")
    assert build_product_text(product, "title+attributes") == "Red wool scarf, 42, Oro"
    british = scarf("Wool scarf", colour="navy", brand="ORO")
    assert build_product_text(british, "title+attributes") == "Wool scarf, navy, ORO"


@pytest.mark.parametrize("value", [None, True, "", "  ", ["red"], {"name": "red"}])
def test_values_that_are_no_text_are_left_out(value: object) -> None:
    product = scarf("Scarf", color=value, brand="Oro", description=value)
    assert build_product_text(product, FULL) == "Scarf, Oro"


def test_the_description_follows_as_a_sentence() -> None:
    product = scarf("Scarf.", brand="Oro", description="  Soft\nand warm. ")
    assert build_product_text(product, FULL) == "Scarf., Oro. Soft and warm."
    assert build_product_text(scarf("", description="Soft."), FULL) == "Soft."
    assert build_product_text(scarf("Scarf!", size=""), FULL) == "Scarf!"


def test_fields_beside_the_title_of_a_dataset_row_count_too() -> None:
    product = Product("p", "Scarf", attributes={"brand": "Oro"}, extra={"description": "Soft."})
    assert build_product_text(product, FULL) == "Scarf, Oro. Soft."


@pytest.mark.parametrize(
    ("sentence", "end"),
    [("It is quite soft and warm. ", "warm."), ("又软又很暖。", "暖。"), ("soft ", "soft")],
)
def test_a_long_description_ends_after_a_whole_sentence_or_word(sentence: str, end: str) -> None:
    text = build_product_text(scarf("Scarf", description=1000 * sentence), FULL)
    assert text.startswith("Scarf. ")
    assert text.endswith(end)
    description = text.removeprefix("Scarf. ")
    assert MAX_DESCRIPTION_LENGTH - 25 < len(description) <= MAX_DESCRIPTION_LENGTH


def test_a_description_without_spaces_is_cut() -> None:
    text = build_product_text(scarf("Scarf", description=1000 * "x"), FULL)
    assert text == "Scarf. " + MAX_DESCRIPTION_LENGTH * "x"


def test_an_unknown_text_is_refused_with_the_known_ones() -> None:
    assert parse_text_fields("title+attributes") == "title+attributes"
    with pytest.raises(SgmnError, match=r"'words' is not a text .*title\+attributes\+description"):
        parse_text_fields("words")
