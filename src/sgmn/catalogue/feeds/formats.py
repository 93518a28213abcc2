"""Recognizes the format of a feed by its content, and reads it."""

from __future__ import annotations

import re

from sgmn.catalogue.feeds import (
    json_ld,
    json_lines,
    merchant_xml,
    plain_table,
    shopify_csv,
    shopify_json,
    woocommerce,
)
from sgmn.catalogue.feeds.document import Document
from sgmn.catalogue.feeds.listing import Rows
from sgmn.catalogue.feeds.table import Table

SUPPORTED = (
    "a .jsonl, .csv or .tsv file, a Merchant Center, Shopify, WooCommerce or schema.org feed, "
    "or a folder with products.jsonl or images"
)
_SNIFFED_CHARACTERS = 65_536
_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ""})
_JSON_LINES_SUFFIXES = frozenset({".jsonl", ".ndjson"})
_XML_STARTS = (b"<", b"\xff\xfe<", b"\xfe\xff\0<")  # expat also reads UTF-16
_JSON_LD_KEY = re.compile(r'"@(context|graph|type)"\s*:')
_SHOPIFY_KEY = re.compile(r'"(products|variants|body_html)"\s*:')
_JSON_LINES_KEY = re.compile(r'"product_id"\s*:')


def read_listings(document: Document) -> Rows:
    """The listings and the rejected rows of a feed in any supported format.

    Raises RecordError for a document that is not a feed.
    """
    start = document.content[:1024].lstrip()
    if document.suffix in _JSON_LINES_SUFFIXES:
        return json_lines.read(document)
    if start.startswith(_XML_STARTS):
        return merchant_xml.read(document)
    if start.startswith((b"{", b"[")):
        return _read_json(document)
    if document.suffix in _TABLE_SUFFIXES or document.is_remote:
        return _read_table(document)
    raise document.error("is not a supported catalogue format", remedy=f"pass {SUPPORTED}")


def _read_json(document: Document) -> Rows:
    start = document.text[:_SNIFFED_CHARACTERS]
    if _JSON_LD_KEY.search(start):
        return json_ld.read(document)
    if _SHOPIFY_KEY.search(start):
        return shopify_json.read(document)
    if _JSON_LINES_KEY.search(start) and start.lstrip().startswith("{"):
        return json_lines.read(document)
    raise document.error(
        "is JSON, but not a supported feed",
        remedy="pass Shopify products.json, schema.org JSON-LD or JSON Lines with product_id",
    )


def _read_table(document: Document) -> Rows:
    table = Table(document)
    if shopify_csv.matches(table.columns):
        return shopify_csv.read(document, table)
    if woocommerce.matches(table.columns):
        return woocommerce.read(document, table)
    return plain_table.read(document, table)
