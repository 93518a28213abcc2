"""Rows of an import in progress: each task writes a part, and finished parts become a dataset.

A part is a few files of rows and, written last, a file with its counts. A killed import therefore
continues with the first part that is not finished, and parts may be written in any order by any
number of processes. A row is a line of its key and its JSON, separated by a tab.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

KINDS = ("products", "clips", "missing", "issues")


class PartWriter:
    """Writes one part; it counts as finished only if the `with` block ends without an error."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.counts: Counter[str] = Counter()
        self._keys: set[str] = set()  # of products, which many clips share
        self._files: dict[str, BinaryIO] = {}

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            path = self.folder / f"{self.name}.{kind}"
            self._files[kind] = path.open("wb")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        if error is None:
            draft = self.folder / f"{self.name}.counts.part"
            draft.write_text(json.dumps(self.counts), encoding="utf-8")
            draft.replace(counts_path(self.folder, self.name))

    def add_product(self, key: str, row: Mapping[str, Any]) -> None:
        """Write a product unless the part has it already."""
        if key not in self._keys:
            self._keys.add(key)
            self._write("products", key, row)

    def has_product(self, key: str) -> bool:
        """Whether the part has a product."""
        return key in self._keys

    def add_clip(self, row: Mapping[str, Any], *, missing: bool = False) -> None:
        """Write a clip, or a clip whose media are missing."""
        self._write("missing" if missing else "clips", row["clip_id"], row)

    def add_issue(self, kind: str, where: str, message: str, key: str = "") -> None:
        """List a problem.

        Args:
            kind: A plural that can be counted, such as "missing frames".
            where: The row or file.
            message: What is wrong there.
            key: Identifies a problem that several parts may find, and that counts once.
        """
        key = f"{kind} {key}" if key else ""
        self._write("issues", key, {"kind": kind, "where": where, "message": message})

    def _write(self, kind: str, key: str, row: Mapping[str, Any]) -> None:
        line = f"{json.dumps(key)}\t{json.dumps(row, ensure_ascii=False, allow_nan=False)}\n"
        self._files[kind].write(line.encode())


def counts_path(folder: Path, name: str) -> Path:
    """Return the file that marks a part as finished."""
    return folder / f"{name}.counts.json"


def read_counts(folder: Path, name: str) -> Counter[str] | None:
    """Return the counts of a finished part; None for an unfinished one."""
    path = counts_path(folder, name)
    return Counter(json.loads(path.read_bytes())) if path.is_file() else None


def merge_rows(folder: Path, names: Iterable[str], kind: str, output: Path) -> tuple[int, int]:
    """Write the rows of parts, in order, to one JSONL file, which appears when it is complete.

    Returns how many rows were written, and how many were left out because an earlier row has the
    same key. Rows with an empty key are never left out.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    draft = output.with_name(f".{output.name}.part")
    seen: set[bytes] = set()  # 8 bytes stand for a key: 4 million keys collide once in 10⁶ imports
    written = repeated = 0
    with draft.open("wb") as file:
        for key, row in _read_rows(folder, names, kind):
            digest = blake2b(key, digest_size=8).digest()
            if key != b'""' and digest in seen:
                repeated += 1
                continue
            seen.add(digest)
            file.write(row)
            written += 1
        file.flush()
        os.fsync(file.fileno())
    draft.replace(output)
    return written, repeated


def _read_rows(folder: Path, names: Iterable[str], kind: str) -> Iterator[tuple[bytes, bytes]]:
    for name in names:
        with (folder / f"{name}.{kind}").open("rb") as file:
            for line in file:
                key, _, row = line.partition(b"\t")
                yield key, row


def count_issues(path: Path) -> Counter[str]:
    """Return how many issues of each kind a merged file has."""
    with path.open("rb") as lines:
        return Counter(json.loads(line)["kind"] for line in lines)
