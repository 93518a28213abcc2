"""Reads tables with a header line, row by row; a cell is found by the name of its column.

The column in the place of an error is the number of the table's column, counted from 1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sgmn.catalogue.feeds.document import Document, is_text
from sgmn.errors import RecordError

_DELIMITERS = ",;\t|"
_MAX_ROW_LINES = 1000  # a row with more lines has a quote that was never closed


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its cells by column name, stripped."""

    line: int
    cells: Mapping[str, str]
    table: Table

    def get(self, name: str) -> str:
        """The cell of a column; "" if the table has no such column."""
        return self.cells.get(name, "")

    def where(self, name: str = "") -> str:
        """The place of the row, or of one of its cells, as `file:line:column`."""
        return self.table.document.where(self.line, self.table.number(name))


@dataclass
class Table:
    """A table whose header has been read. Column names are normalized: `Image Src`, image_src."""

    document: Document
    columns: list[str] = field(default_factory=list)
    header_line: int = 1

    def __post_init__(self) -> None:
        lines = list(io.StringIO(self.document.text, newline=""))
        header_line = next((line for line in lines if line.strip()), "")
        self._records = parse_records(lines, detect_delimiter(self.document.suffix, header_line))
        number, record = next(self._records, (1, []))
        self.header_line = number
        if isinstance(record, RecordError):
            raise self.document.error(record.message, number, remedy=record.remedy or "")
        self.columns = [normalize_name(cell) for cell in record]
        self._require_unique_columns()

    def _require_unique_columns(self) -> None:
        for number, name in enumerate(self.columns, start=1):
            if name and name in self.columns[: number - 1]:
                message = f"has the column {name!r} twice"
                raise self.document.error(message, self.header_line, number, "rename one")

    def number(self, name: str) -> int:
        """The number of a column, from 1; 1 for one that the table does not have."""
        return self.columns.index(name) + 1 if name in self.columns else 1

    def rows(self) -> Iterator[Row | RecordError]:
        """The rows after the header. Blank rows are skipped."""
        for number, record in self._records:
            if isinstance(record, RecordError):
                yield self.document.error(record.message, number, remedy=record.remedy or "")
            else:
                yield self._to_row(number, record)

    def _to_row(self, line: int, record: list[str]) -> Row | RecordError:
        count = len(self.columns)
        if len(record) != count:
            message = f"has {len(record)} cells, but the header has {count}"
            column = min(len(record), count) + 1
            return self.document.error(message, line, column, "check its delimiters")
        if not is_text(*record):
            column = next(n for n, cell in enumerate(record, start=1) if not is_text(cell))
            remedy = "save the table as UTF-8"
            return self.document.error("is not UTF-8 text", line, column, remedy)
        cells = dict(zip(self.columns, map(str.strip, record), strict=True))
        return Row(line, cells, self)


def detect_delimiter(suffix: str, header: str) -> str:
    """The delimiter of a table: a tab in .tsv files, otherwise the most frequent candidate."""
    return "\t" if suffix == ".tsv" else max(_DELIMITERS, key=header.count)


def parse_records(
    lines: Sequence[str], delimiter: str
) -> Iterator[tuple[int, list[str] | RecordError]]:
    """Each record with the number of its first line; a record that csv rejects as an error.

    Only the first line of a rejected record is skipped: an unclosed quote swallows valid rows.
    """
    start = 0
    while start < len(lines):
        row_lines = range(start, min(start + _MAX_ROW_LINES, len(lines)))
        # An unclosed quote reads many lines: `map` is faster than a generator expression.
        reader = csv.reader(map(lines.__getitem__, row_lines), delimiter=delimiter, strict=True)
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


def normalize_name(cell: str) -> str:
    """A column name in lower case, with underscores, and without the prefix `g:`."""
    name = cell.strip().lower().replace(" ", "_").replace("-", "_")
    return name.removeprefix("g:")
