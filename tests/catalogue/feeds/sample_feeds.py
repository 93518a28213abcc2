"""Sample feeds, written after the public documentation of each platform."""

from __future__ import annotations

from pathlib import Path

from sgmn.catalogue.feeds.document import Document
from sgmn.catalogue.feeds.formats import read_listings
from sgmn.catalogue.feeds.listing import Listing
from sgmn.errors import RecordError

SAMPLES = Path(__file__).parent / "samples"
ADDRESS = "https://shop.example"
# The numbers of products, and of rejected rows, of each sample.
COUNTS = {
    "merchant.tsv": (4, 0),
    "merchant_rss.xml": (3, 1),
    "merchant_atom.xml": (2, 0),
    "shopify.csv": (4, 1),
    "shopify_new.csv": (2, 0),
    "shopify.json": (3, 1),
    "woocommerce.csv": (4, 1),
    "products.jsonld": (3, 1),
    "plain.csv": (2, 1),
    "lines.jsonl": (2, 1),
}


def read_rows(content: bytes, name: str) -> list[Listing | RecordError]:
    """The listings and rejected rows of a feed with this name and content."""
    return list(read_listings(Document(name, content)))


def read_sample(name: str) -> dict[str, Listing]:
    """The listings of a sample, by product id."""
    rows = read_rows((SAMPLES / name).read_bytes(), name)
    return {row.product_id: row for row in rows if isinstance(row, Listing)}


def read_errors(name: str) -> list[str]:
    """The rejected rows of a sample."""
    rows = read_rows((SAMPLES / name).read_bytes(), name)
    return [str(row) for row in rows if isinstance(row, RecordError)]
