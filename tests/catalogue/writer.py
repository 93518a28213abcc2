"""A process that indexes: `python -m tests.catalogue.writer FOLDER COUNT BATCH`.

It begins at a line on its input, prints "started", then the ids of every batch as a JSON list
once they are on disk.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from sgmn.catalogue.index import Index
from tests.catalogue.fakes import STAMP, FakeEmbed, titled


def main() -> None:
    folder, count, batch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    print("ready", flush=True)
    sys.stdin.readline()
    print("started", flush=True)
    index = Index.create_or_open(folder, STAMP)
    index.update(titled(count, "s"), FakeEmbed(), batch=batch, progress=say)
    print("done", flush=True)


def say(keys) -> None:
    print(json.dumps([product_id for _, product_id in keys]), flush=True)


if __name__ == "__main__":
    main()
