"""The rejected rows and warnings of an update as a CSV file."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from sgmn.catalogue.update import UpdateReport
from sgmn.errors import IndexingError, error_reason
from sgmn.row_issues import RowIssue

COLUMNS = ("kind", "file", "line", "column", "message")
_PLACE = re.compile(r"(.*):(\d+):(\d+)", re.DOTALL)


def write_issues(path: Path, report: UpdateReport) -> None:
    """Write one row for each rejected row and each warning. Raises IndexingError."""
    rows = [_to_row("rejected", issue) for issue in report.rejected_rows]
    rows += [_to_row("warning", issue) for issue in report.warnings]
    try:
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            csv.writer(file).writerows([COLUMNS, *rows])
    except OSError as error:
        message = f"cannot be written ({error_reason(error)})"
        raise IndexingError(message, path, "pass another file to --report") from error


def _to_row(kind: str, issue: RowIssue) -> tuple[str, ...]:
    place = _PLACE.fullmatch(issue.where)
    file, line, column = place.groups() if place else (issue.where, "", "")
    return kind, file, line, column, issue.message
