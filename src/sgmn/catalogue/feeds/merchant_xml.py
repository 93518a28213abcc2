"""Google Merchant Center XML: RSS 2.0 and Atom, with the `g:` namespace.

The file is parsed by expat, with the place of every item. Entity declarations are refused, so
that nothing can expand, and external entities are never loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from sgmn.catalogue.feeds.document import Document
from sgmn.catalogue.feeds.listing import (
    Listing,
    Rows,
    drop_empty,
    require_id,
    strip_html,
    unique,
)
from sgmn.catalogue.feeds.plain_table import VARIANT_ATTRIBUTES
from sgmn.errors import RecordError
from sgmn.product_text import add_options

MAX_DEPTH = 32
_ITEM_TAGS = frozenset({"item", "entry"})
_ROOT_TAGS = frozenset({"rss", "feed", "rdf", "channel"})
_CHUNK_BYTES = 1 << 16


@dataclass
class XmlItem:
    """One item: the texts of its fields, without the prefix of their namespace."""

    line: int
    column: int
    fields: dict[str, list[str]] = field(default_factory=dict)
    prefixed: set[str] = field(default_factory=set)  # fields that came with `g:`

    def add(self, tag: str, text: str) -> None:
        """Add the text of a field. `g:title` takes precedence over `title`."""
        prefix, _, name = tag.rpartition(":")
        if not prefix and name in self.prefixed:
            return
        if prefix and name not in self.prefixed:
            self.fields.pop(name, None)
            self.prefixed.add(name)
        self.fields.setdefault(name, []).append(text)

    def get(self, name: str) -> str:
        """The first text of a field; "" without one."""
        return next((text for text in self.fields.get(name, ()) if text), "")


class _ItemParser:
    """Collects items while expat reads the file."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.items: list[XmlItem] = []
        self._item: XmlItem | None = None
        self._item_depth = 0
        self._tags: list[str] = []
        self._text: list[str] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text.append
        self._parser.EntityDeclHandler = self._refuse_entity

    def items_until(self, content: bytes, is_last: bool) -> list[XmlItem]:
        """Parse more content; return the items that it completes. Raises RecordError."""
        try:
            self._parser.Parse(content, is_last)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            message = f"is not well-formed XML ({reason})"
            remedy = "export the feed again"
            raise self.document.error(message, error.lineno, error.offset + 1, remedy) from error
        except (ValueError, LookupError) as error:  # such as an unknown encoding
            raise self._error(f"cannot be decoded ({error})", "save the feed as UTF-8") from error
        items, self.items = self.items, []
        return items

    def _error(self, message: str, remedy: str) -> RecordError:
        line, column = self._parser.CurrentLineNumber, self._parser.CurrentColumnNumber
        return self.document.error(message, line, column + 1, remedy)

    def _refuse_entity(self, name: str, *_: object) -> None:
        raise self._error(f"declares the entity {name[:40]!r}", "remove the entity declarations")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._tags) >= MAX_DEPTH:
            raise self._error(f"is nested deeper than {MAX_DEPTH} elements", "export it again")
        if not self._tags and _local_name(tag) not in _ROOT_TAGS:
            raise self._error(
                f"has the root element {tag[:40]!r}, so it is neither RSS nor Atom",
                "pass a Merchant Center feed",
            )
        self._tags.append(tag)
        self._clear_text(len(self._tags))
        if self._item is None and _local_name(tag) in _ITEM_TAGS:
            parser = self._parser
            self._item = XmlItem(parser.CurrentLineNumber, parser.CurrentColumnNumber + 1)
            self._item_depth = len(self._tags)
        elif self._item is not None and tag == "link" and attributes.get("href"):
            self._item.add("link", attributes["href"])  # Atom

    def _end(self, tag: str) -> None:
        depth = len(self._tags)
        if self._item is not None and depth == self._item_depth + 1:
            self._item.add(tag, "".join(self._text).strip())
        elif self._item is not None and depth == self._item_depth:
            self.items.append(self._item)
            self._item = None
        self._clear_text(depth)
        self._tags.pop()

    def _clear_text(self, depth: int) -> None:
        """Forget the text before an element, but not within a field, which may contain HTML."""
        if self._item is None or depth <= self._item_depth + 1:
            self._text.clear()
        else:
            self._text.append(" ")


def _local_name(tag: str) -> str:
    return tag.rpartition(":")[2].lower()


def read(document: Document) -> Rows:
    """The listings of a feed. After an error in the XML, the rest of the file is not read."""
    count = 0
    for item in _parse_items(document):
        count += 1
        if isinstance(item, RecordError):
            yield item
            continue
        try:
            yield _parse_item(document, item)
        except RecordError as error:
            yield error
    if not count:
        remedy = "pass a feed with <item> or <entry> elements"
        raise document.error("has no items", remedy=remedy)


def _parse_items(document: Document) -> Iterator[XmlItem | RecordError]:
    parser, content = _ItemParser(document), document.content
    try:
        for start in range(0, len(content), _CHUNK_BYTES):
            yield from parser.items_until(content[start : start + _CHUNK_BYTES], False)
        yield from parser.items_until(b"", True)
    except RecordError as error:
        yield from parser.items
        remedy = f"{error.remedy}; the rest of the file was not read"
        yield RecordError(error.message, error.where, remedy)


def _parse_item(document: Document, item: XmlItem) -> Listing:
    where = document.where(item.line, item.column)
    product_id = require_id(item.get("id"), "g:id", where)
    categories = [item.get("product_type"), item.get("google_product_category")]
    images = [item.get("image_link"), *item.fields.get("additional_image_link", ())]
    title = strip_html(item.get("title"))
    if item.get("item_group_id"):
        title = add_options(title, map(item.get, VARIANT_ATTRIBUTES))
    used = {"id", "title", "image_link", "additional_image_link", "product_type"}
    attributes = {name: item.get(name) for name in item.fields if name not in used}
    attributes["description"] = strip_html(item.get("description") or item.get("summary"))
    attributes.pop("summary", None)
    category = next(filter(None, categories), "")
    return Listing(where, product_id, title, unique(images), "", category, drop_empty(attributes))
