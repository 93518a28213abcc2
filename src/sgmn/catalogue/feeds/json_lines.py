"""JSON Lines with one product a line, as in a dataset's products.jsonl."""

from __future__ import annotations

import json

from sgmn import jsonl
from sgmn.catalogue.feeds.document import Document
from sgmn.catalogue.feeds.listing import Listing, Rows, require_id
from sgmn.errors import RecordError


def read(document: Document) -> Rows:
    """The listings of a JSON Lines file."""
    for number, line in enumerate(document.content.split(b"\n"), start=1):
        text = line.strip()
        if not text:
            continue
        try:
            yield _parse_line(text, document.where(number))
        except RecordError as error:
            yield _locate(error, document, number, line)


def _parse_line(text: bytes, where: str) -> Listing:
    fields = jsonl.parse_object(text, where)
    image = (fields.get_text("image"),) if fields.has("image") else ()
    return Listing(
        where,
        require_id(fields.get_text("product_id"), "product_id", where),
        fields.get_text("title", ""),
        (*image, *fields.get_texts("images")),
        fields.get_text("shop_id", ""),
        fields.get_text("category", ""),
        fields.get_mapping("attributes"),
        fields.unread_fields(),
    )


def _locate(error: RecordError, document: Document, number: int, line: bytes) -> RecordError:
    """The error with the column of its field, or of the syntax error, if that is known."""
    column, cause = 1, error.__cause__
    if isinstance(cause, json.JSONDecodeError):
        column = cause.pos + 1
    elif error.message.startswith("'"):
        name = error.message[1:].partition("'")[0].partition("[")[0]
        column = max(line.find(f'"{name}"'.encode(errors="replace")), 0) + 1
    return RecordError(error.message, document.where(number, column), error.remedy)
