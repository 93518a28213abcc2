"""Reads .csv and .tsv tables with a header line, as shops export them.

Google Merchant Center headers are accepted (`id`, `image_link`, `product_type`, with or without
the prefix `g:`). A column with an unknown name becomes an attribute.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sgmn.errors import RecordError

# The names that shops use for each column of ours. Of several in one table the first counts, and
# the others become attributes.
_COLUMN_ALIASES: Mapping[str, tuple[str, ...]] = {
    "product_id": ("product_id", "id", "sku", "item_id", "offer_id"),
    "title": ("title", "name", "product_title", "product_name"),
    "image": ("image", "image_link", "image_url", "image_path", "picture", "photo"),
    "images": ("images", "additional_image_link", "additional_image_links"),
    "category": ("category", "product_type", "google_product_category", "product_category"),
    "shop_id": ("shop_id", "shop", "store_id", "store"),
}
_DELIMITERS = ",;\t|"
_MAX_ROW_LINES = 1000  # a row with more lines has a quote that was never closed
_MAX_LISTED_CHARACTERS = 200  # of the columns that an error lists


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row: known columns in `values`, the others in `attributes`; or its `error`."""

    where: str
    values: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    error: RecordError | None = None


def read_rows(path: Path) -> Iterator[TableRow]:
    """The rows of a table. Blank rows are skipped, invalid ones carry their error.

    Raises RecordError for a file that is not text, or whose header has no product column.
    """
    lines = list(io.StringIO(_read_text(path), newline=""))
    header_line = next((line for line in lines if line.strip()), "")
    header: list[str] | None = None
    for number, record in _parse_records(lines, _detect_delimiter(path, header_line)):
        where = f"{path}:{number}"
        if isinstance(record, RecordError):
            error = RecordError(record.message, where=where, remedy=record.remedy)
            yield TableRow(where, error=error)
        elif header is None:
            header = _parse_header(record, path)
        else:
            yield _parse_row(record, header, where)
    if header is None:
        raise RecordError("has no header line", where=path, remedy=_header_remedy())


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})", where=path) from error
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:4096]:
        raise RecordError("is not UTF-8 text", where=f"{path}:1", remedy="save the table as UTF-8")
    # Bytes that are not UTF-8 become lone surrogates, so that only their own row is rejected.
    return raw.decode("utf-8-sig", errors="surrogateescape")


def _detect_delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(_DELIMITERS, key=header.count)


def _parse_records(
    lines: Sequence[str], delimiter: str
) -> Iterator[tuple[int, list[str] | RecordError]]:
    """Each record with the number of its first line; a record that csv rejects as an error.

    Only the first line of a rejected record is skipped: an unclosed quote swallows valid rows.
    """
    start = 0
    while start < len(lines):
        row_lines = range(start, min(start + _MAX_ROW_LINES, len(lines)))
        reader = csv.reader((lines[i] for i in row_lines), delimiter=delimiter, strict=True)
        try:
            record = next(reader)
        except csv.Error as error:
            yield start + 1, _record_error(error, reader.line_num)
            start += 1
        else:
            if any(cell.strip() for cell in record):
                yield start + 1, record
            start += reader.line_num


def _record_error(error: csv.Error, line_count: int) -> RecordError:
    if "field limit" not in str(error):
        return RecordError(f"is not a valid table row ({error})", remedy="check its quotes")
    message = f"has a cell of more than {csv.field_size_limit()} characters"
    if line_count > 1:
        return RecordError(f"{message}, over several lines", remedy="close its quote or shorten it")
    return RecordError(message, remedy="shorten it")


def _parse_header(cells: list[str], path: Path) -> list[str]:
    """The columns, by our names if they are known, otherwise by their own."""
    names = [_normalize_name(cell) for cell in cells]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise RecordError(
            f"has the column {repeated[0]!r} twice", where=f"{path}:1", remedy="rename one"
        )
    known_names = {
        chosen: column
        for column, aliases in _COLUMN_ALIASES.items()
        if (chosen := next((alias for alias in aliases if alias in names), None))
    }
    columns = [known_names.get(name, name) for name in names]
    if "product_id" not in columns or not {"title", "image"} & set(columns):
        listed = ", ".join(names)[:_MAX_LISTED_CHARACTERS]
        raise RecordError(f"has the columns {listed}", where=f"{path}:1", remedy=_header_remedy())
    return columns


def _normalize_name(cell: str) -> str:
    name = cell.strip().lower().replace(" ", "_").replace("-", "_")
    return name.removeprefix("g:")


def _header_remedy() -> str:
    return "start with a header that names product_id, and title or image"


def _parse_row(cells: list[str], header: list[str], where: str) -> TableRow:
    if len(cells) != len(header):
        message = f"has {len(cells)} cells, but the header has {len(header)}"
        error = RecordError(message, where=where, remedy="check its delimiters")
        return TableRow(where, error=error)
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        error = RecordError("is not UTF-8 text", where=where, remedy="save the table as UTF-8")
        return TableRow(where, error=error)
    named = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    return TableRow(
        where,
        values={name: cell for name, cell in named.items() if name in _COLUMN_ALIASES},
        attributes={
            name: cell for name, cell in named.items() if name not in _COLUMN_ALIASES and cell
        },
    )
