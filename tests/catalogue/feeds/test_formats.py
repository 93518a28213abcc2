"""Each format: products, variants, attributes, and the places of rejected rows."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sgmn.catalogue.feeds.document import Document
from sgmn.catalogue.feeds.listing import Listing, strip_html
from sgmn.errors import RecordError
from sgmn.product_text import add_options
from tests.catalogue.feeds.sample_feeds import (
    ADDRESS,
    COUNTS,
    SAMPLES,
    read_errors,
    read_rows,
    read_sample,
)


def test_every_sample_has_its_counts() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == set(COUNTS)


@pytest.mark.parametrize("name", sorted(set(COUNTS) - {"plain.csv"}))
def test_products_and_rejected_rows_of_each_format(name: str) -> None:
    assert (len(read_sample(name)), len(read_errors(name))) == COUNTS[name]


@pytest.mark.parametrize("name", sorted(set(COUNTS) - {"merchant.tsv", "lines.jsonl"}))
def test_the_format_is_recognized_by_content(name: str) -> None:
    content = (SAMPLES / name).read_bytes()
    renamed = read_rows(content, "https://shop.example/export?v=1")
    assert len([row for row in renamed if isinstance(row, Listing)]) == len(read_sample(name))


def test_merchant_center_table() -> None:
    listings = read_sample("merchant.tsv")
    mug = listings["MUG-1"]
    assert mug.title == "Stoneware mug" and mug.category == "Kitchen > Mugs"
    assert mug.images == tuple(f"{ADDRESS}/i/{n}.png" for n in ("mug", "mug-top", "mug-side"))
    assert mug.attributes["description"] == "Glazed by hand & dishwasher safe"
    assert mug.attributes["gtin"] == "4006381333931"
    assert mug.attributes["availability"] == "in_stock"
    assert listings["TEE-RED-M"].title == "Organic cotton T-shirt, Red, M"
    assert listings["TEE-BLUE-M"].title == "Organic cotton T-shirt, blue, M"
    assert listings["TEE-BLUE-M"].attributes["item_group_id"] == "TEE"


def test_merchant_center_rss() -> None:
    listings = read_sample("merchant_rss.xml")
    kettle = listings["KET-1"]
    assert kettle.title == "Enamel kettle, 1.5 l"
    assert kettle.attributes["description"] == "For gas & induction. 1.5 litres"
    assert kettle.attributes["price"] == "39.90 EUR" and len(kettle.images) == 3
    assert kettle.attributes["link"] == f"{ADDRESS}/p/kettle"
    assert listings["RUN-FIR"].title == "Linen table runner, Fir green, 150 cm"
    assert listings["RUN-FIR"].images == (f"{ADDRESS}/i/runner-fir.png",)
    assert read_errors("merchant_rss.xml")[0].startswith("merchant_rss.xml:43:5: 'g:id' is missing")


def test_merchant_center_atom() -> None:
    plane = read_sample("merchant_atom.xml")["PLANE-4"]
    assert plane.where == "merchant_atom.xml:6:3"
    assert plane.attributes["description"] == "No. 4 with a steel iron"
    assert plane.attributes["link"] == f"{ADDRESS}/p/plane" and plane.category == "Hardware > Tools"


def test_shopify_csv() -> None:
    listings = read_sample("shopify.csv")
    coat = listings["rain-coat/Moss/L"]
    assert coat.title == "Waxed rain coat, Moss, L"
    assert coat.images == (f"{ADDRESS}/i/coat-moss.png",)
    assert coat.attributes["item_group_id"] == "rain-coat" and coat.attributes["color"] == "Moss"
    assert coat.attributes["availability"] == "out_of_stock"
    assert coat.attributes["description"] == "Keeps you dry, always"
    navy = listings["rain-coat/Navy/S"]
    assert navy.attributes["availability"] == "in_stock"  # sold without stock
    assert navy.images == tuple(f"{ADDRESS}/i/coat-{n}.png" for n in (1, 2, 3, 4))
    assert listings["umbrella"].title == "Umbrella"
    assert list(read_sample("shopify_new.csv")) == ["candle/10 cm", "candle/20 cm"]


def test_shopify_json() -> None:
    listings = read_sample("shopify.json")
    slate = listings["trail-backpack/Slate/25 l"]
    assert slate.images == (f"{ADDRESS}/i/pack-slate.png",)  # named by `variant_ids`
    assert slate.attributes["availability"] == "out_of_stock"
    assert slate.attributes["volume"] == "25 l" and "sku" not in slate.attributes
    assert listings["trail-backpack/Rust/25 l"].attributes["tags"] == "hiking, new"
    assert listings["steel-bottle"].attributes["availability"] == "in_stock"
    assert read_errors("shopify.json")[0].startswith("shopify.json:18:3: 'handle' is missing")


def test_woocommerce_csv() -> None:
    listings = read_sample("woocommerce.csv")
    assert list(listings) == ["BREAD-KNIFE", "APRON-SAND", "24", "LAMP"]  # not the parent APRON
    knife, ink = listings["BREAD-KNIFE"], listings["24"]
    assert knife.attributes["price"] == "29.00" and knife.attributes["gtin"] == "4000000000109"
    assert knife.category == "Kitchen > Knives" and len(knife.images) == 2
    assert ink.title == "Canvas apron, Ink" and ink.images == (f"{ADDRESS}/i/apron.png",)
    assert ink.attributes["description"] == "With two pockets"
    assert listings["APRON-SAND"].title == "Canvas apron - Sand"
    assert read_errors("woocommerce.csv")[0].startswith("woocommerce.csv:7:19: has the parent 'GO")


def test_schema_org_json_ld() -> None:
    listings = read_sample("products.jsonld")
    assert list(listings) == ["SHEARS", "POT-S", "POT-L"]
    assert listings["SHEARS"].attributes["price"] == "27.5 EUR"
    assert listings["SHEARS"].attributes["brand"] == "Hecke"
    small = listings["POT-S"]
    assert small.title == "Terracotta pot, 12 cm" and small.attributes["item_group_id"] == "POT"
    assert small.attributes["availability"] == "out_of_stock"
    assert listings["POT-L"].images == (f"{ADDRESS}/i/pot.png",)


def test_json_ld_as_an_item_list_and_as_one_product() -> None:
    product = '{"@type": "http://schema.org/Product", "sku": "A", "name": "Alpha"}'
    items = (
        f'{{"@type": "ItemList", "itemListElement": [{{"@type": "ListItem", "item": {product}}}]}}'
    )
    for text in (product, f"[{product}]", items):
        (listing,) = read_rows(text.encode(), "feed.json")
        assert isinstance(listing, Listing) and (listing.product_id, listing.title) == (
            "A",
            "Alpha",
        )


def test_compressed_feeds_may_have_several_parts(tmp_path: Path) -> None:
    lines = (SAMPLES / "plain.csv").read_bytes().splitlines(keepends=True)
    path = tmp_path / "plain.csv.gz"
    path.write_bytes(b"".join(gzip.compress(line) for line in lines))
    assert Document.read(path, 10_000).content == b"".join(lines)
    for damaged, message in (
        (path.read_bytes()[:-9], "truncated gzip data"),
        (gzip.compress(b"0" * 1_000_000, mtime=0), "larger than 0.01 MB when decompressed"),
        (path.read_bytes()[:10] + b"\xff" * 40, "not valid gzip data"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(RecordError, match=f"plain.csv.gz:1:1: is {message}"):
            Document.read(path, 10_000)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"<html><body>Not found</body></html>", "1:1: has the root element 'html'"),
        (b"<rss><channel></channel></rss>", "1:1: has no items"),
        (b"<rss>\n<item><id>1</id></channel></rss>", "2:19: is not well-formed XML (mismatched"),
        (b'<!DOCTYPE r [<!ENTITY a "b">]><rss/>', "declares the entity 'a'"),
        (b'<!DOCTYPE r [<!ENTITY % a SYSTEM "file:///etc/passwd">%a;]><rss/>', "entity 'a'"),
        (b"<rss>" + b"<a>" * 100, "is nested deeper than 32 elements"),
        (
            b'<?xml version="1.0" encoding="ebcdic-x"?><rss/>',
            "1:31: cannot be decoded (unknown encoding",
        ),
        (b'{"products": [\n{"handle": "a", "title": "A"},\n{"handle": }]}', "3:12: is not valid"),
        (b'{"products": [], "n": 1' + b"0" * 5000 + b"}", "is not valid JSON"),
        (b'{"products": ' + b"[" * 50_000, "is not valid JSON"),
        (b'{"products": [{"handle": "a", "title": NaN}]}', "NaN is not a JSON number"),
        (b'{"products": [7]}', "1:15: is 7, not an object"),
        (b'{"anything": 1}', "1:1: is JSON, but not a supported feed"),
        (b"\xff\xfe\0a", "1:1: is not UTF-8 text"),
    ],
)
def test_damage_is_reported_with_line_and_column(content: bytes, place: str) -> None:
    try:
        rows = read_rows(content, "feed")
    except RecordError as error:
        rows = [error]
    assert place in str(next(row for row in rows if isinstance(row, RecordError)))
    assert str(rows[-1]).startswith("feed:")


def test_a_billion_laughs_do_not_expand() -> None:
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    text = f'<!DOCTYPE rss [<!ENTITY a0 "ha">{entities}]><rss><item><id>&a11;</id></item></rss>'
    (error,) = read_rows(text.encode(), "feed.xml")
    assert "declares the entity 'a0'" in str(error)


def test_products_before_a_syntax_error_are_read() -> None:
    content = (SAMPLES / "merchant_rss.xml").read_bytes()
    rows = read_rows(content[: content.index(b"RUN-FIR")], "feed.xml")
    assert [row.product_id for row in rows if isinstance(row, Listing)] == ["KET-1", "RUN-OAT"]
    assert "the rest of the file was not read" in str(rows[-1])


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a < b and c > d", "a < b and c > d"),
        ("<script>x = '<p>'</script>Oak<!-- <b> -->", "Oak"),
        ("1&nbsp;kg<br/>2&times;", "1 kg 2×"),
        ("<" * 50_000, "<" * 20_000),
    ],
)
def test_html_is_stripped(markup: str, text: str) -> None:
    assert strip_html(markup) == text


def test_options_are_added_once_and_as_words() -> None:
    assert add_options("Sock", ["M", "M", ""]) == "Sock, M"
    assert add_options("Scarf (red)", ["(red)", "x.y"]) == "Scarf (red), x.y"
