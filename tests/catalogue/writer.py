"""A process that indexes: `python -m tests.catalogue.writer FOLDER COUNT BATCH_SIZE [CATEGORY]`.

With a category, all products get it, and products that are not among them are removed.

It starts when it reads a line, prints "started", and then prints the ids of every batch as a JSON
list once they are on disk.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import lancedb  # noqa: F401  (else the first kills would hit its import)

from sgmn.catalogue.table import ProductTable
from sgmn.catalogue.update import UpdateOptions, UpdateProgress
from tests.catalogue.fakes import STAMP, FakeEncoder, products_with_title


def main() -> None:
    folder, count, batch_size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    print("ready", flush=True)
    sys.stdin.readline()
    print("started", flush=True)
    table = ProductTable.create_or_open(folder, STAMP)
    category = sys.argv[4] if len(sys.argv) > 4 else ""
    options = UpdateOptions(batch_size=batch_size, sync=bool(category))
    products = [replace(product, category=category) for product in products_with_title(count, "s")]
    table.update(products, FakeEncoder(), options, print_written)
    print("done", flush=True)


def print_written(progress: UpdateProgress) -> None:
    if progress.written:
        print(json.dumps([product_id for _, product_id in progress.written]), flush=True)


if __name__ == "__main__":
    main()
