"""Opens the products and clips of a large dataset as tables, see `sgmn.data.row_table`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sgmn import jsonl
from sgmn.data import rows
from sgmn.data.row_table import RowTable
from sgmn.data.table_builder import open_table
from sgmn.records import Clip, Product
from sgmn.row_issues import RowIssue

LARGE_BYTES = 256 * 2**20  # of clips.jsonl: about 200,000 clips, which take 1.2 GB as records
_OTHERS = ("photos.jsonl", "streams")


@dataclass(frozen=True, slots=True)
class DatasetTables:
    """The products and clips of a dataset folder, in the order of its files."""

    root: Path
    products: RowTable[Product]
    clips: RowTable[Clip]
    rejected_rows: tuple[RowIssue, ...] = ()


def is_large(folder: Path) -> bool:
    """Whether a dataset consists of clips and products only, and is too large for memory."""
    clips = Path(folder) / "clips.jsonl"
    if any((Path(folder) / part).exists() for part in _OTHERS):
        return False
    return (Path(folder) / "products.jsonl").is_file() and (
        clips.is_file() and clips.stat().st_size > LARGE_BYTES
    )


def open_tables(folder: Path, *, skip_invalid: bool = False) -> DatasetTables:
    """Open the tables of a dataset folder; build those that are missing or outdated.

    See `table_builder.open_table` for the arguments and the errors.
    """
    folder = Path(folder)
    products, product_issues = open_table(
        folder / "products.jsonl", "product_id", jsonl.parse_product, skip_invalid=skip_invalid
    )
    clips, clip_issues = open_table(
        folder / "clips.jsonl", "clip_id", rows.parse_clip, skip_invalid=skip_invalid
    )
    return DatasetTables(folder, products, clips, (*product_issues, *clip_issues))
