"""Tables that shops export, .csv or .tsv with a header, to rows with our names of columns.

Google-Merchant-like headers are accepted (`id`, `image_link`, `product_type`, `g:` before
them); a column that is none of ours becomes an attribute.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sgmn.errors import RecordError

# Our name of a column, and what shops call it; of several the first wins, the others become
# attributes.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "product_id": ("product_id", "id", "sku", "item_id", "offer_id"),
    "title": ("title", "name", "product_title", "product_name"),
    "image": ("image", "image_link", "image_url", "image_path", "picture", "photo"),
    "images": ("images", "additional_image_link", "additional_image_links"),
    "category": ("category", "product_type", "google_product_category", "product_category"),
    "shop_id": ("shop_id", "shop", "store_id", "store"),
}
_DELIMITERS = ",;\t|"
_LONGEST = 1000  # lines of one row; what goes on for longer is a quote left open


@dataclass(frozen=True, slots=True)
class Row:
    """One row: our columns in `values`, the others in `attributes`; or its `fault`."""

    where: str
    values: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    fault: RecordError | None = None


def rows(path: Path) -> Iterator[Row]:
    """The rows of a table; blank ones are ignored, broken ones carry their fault.

    Raises RecordError for a file that is no text or whose header names no product.
    """
    lines = list(io.StringIO(_text(path), newline=""))
    header_line = next((line for line in lines if line.strip()), "")
    header: list[str] | None = None
    for number, record in _records(lines, _delimiter(path, header_line)):
        where = f"{path}:{number}"
        if isinstance(record, RecordError):
            yield Row(where, fault=RecordError(record.what, where=where, remedy=record.remedy))
        elif header is None:
            header = _header(record, path)
        else:
            yield _row(record, header, where)
    if header is None:
        raise RecordError("has no header line", where=path, remedy=_header_remedy())


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RecordError(f"cannot be read ({error.strerror})", where=path) from error
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in raw[:4096]:
        raise RecordError("is no UTF-8 text", where=f"{path}:1", remedy="save the table as UTF-8")
    # Bytes that are no UTF-8 stay visible as lone surrogates: only their own row is refused.
    return raw.decode("utf-8-sig", errors="surrogateescape")


def _delimiter(path: Path, header: str) -> str:
    if path.suffix.lower() == ".tsv":
        return "\t"
    return max(_DELIMITERS, key=header.count)


def _records(lines: Sequence[str], delimiter: str) -> Iterator[tuple[int, list[str] | RecordError]]:
    """Each record with the number of its first line; what csv refuses comes as an error.

    Of a refused record only its first line is lost: an open quote takes in what follows it.
    """
    place = 0
    while place < len(lines):
        ahead = range(place, min(place + _LONGEST, len(lines)))
        cells = csv.reader((lines[i] for i in ahead), delimiter=delimiter, strict=True)
        try:
            record = next(cells)
        except csv.Error as error:
            yield place + 1, _no_row(error, cells.line_num)
            place += 1
        else:
            if any(cell.strip() for cell in record):
                yield place + 1, record
            place += cells.line_num


def _no_row(error: csv.Error, line_count: int) -> RecordError:
    if "field limit" not in str(error):
        return RecordError(f"is no table row ({error})", remedy="check its quotes")
    what = f"has a cell of more than {csv.field_size_limit()} characters"
    if line_count > 1:
        return RecordError(f"{what}, over several lines", remedy="close its quote, or shorten it")
    return RecordError(what, remedy="shorten it")


def _header(cells: list[str], path: Path) -> list[str]:
    """The columns by our names where they are ours, by their own otherwise."""
    given = [_plain(cell) for cell in cells]
    repeated = sorted({name for name in given if given.count(name) > 1})
    if repeated:
        raise RecordError(
            f"has the column {repeated[0]!r} twice", where=f"{path}:1", remedy="rename one"
        )
    ours = {
        chosen: name
        for name, aliases in _NAMES.items()
        if (chosen := next((alias for alias in aliases if alias in given), None))
    }
    columns = [ours.get(name, name) for name in given]
    if "product_id" not in columns or not {"title", "image"} & set(columns):
        shown = ", ".join(given)[:200]
        raise RecordError(f"has the columns {shown}", where=f"{path}:1", remedy=_header_remedy())
    return columns


def _plain(cell: str) -> str:
    name = cell.strip().lower().replace(" ", "_").replace("-", "_")
    return name.removeprefix("g:")


def _header_remedy() -> str:
    return "begin with a header that names product_id, and title or image"


def _row(cells: list[str], header: list[str], where: str) -> Row:
    if len(cells) != len(header):
        counts = f"has {len(cells)} cells where the header has {len(header)}"
        return Row(where, fault=RecordError(counts, where=where, remedy="check its delimiters"))
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        no_text = RecordError("is no UTF-8 text", where=where, remedy="save the table as UTF-8")
        return Row(where, fault=no_text)
    named = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    return Row(
        where,
        values={name: cell for name, cell in named.items() if name in _NAMES},
        attributes={name: cell for name, cell in named.items() if name not in _NAMES and cell},
    )
