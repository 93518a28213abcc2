"""Results for other programs: TREC run and qrels files, and predictions as Parquet.

    FOLDER/run.txt     query Q0 item rank score tag      best first, up to DEPTH items a query
    FOLDER/qrels.txt   query 0 item 1                    one line per true item of a query

A query without an answer has lines in qrels.txt only: `trec_eval -c` counts it, as the reports do.
Ids are written with `%20` for a space, as whitespace separates the columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO
from urllib.parse import quote

from sgmn.evaluation.ranking import TOP_K, RankedClip

DEPTH = 1000  # items of a query, the convention of TREC
_BATCH = 1000  # queries of a Parquet row group


class ResultFiles:
    """Writes results while they are computed; files appear when all are written.

    Args:
        trec: Folder of run.txt and qrels.txt; None to write none.
        predictions: Parquet file with one row per query; None to write none.
        tag: Names the run; whitespace becomes an underscore.
        meta: JSON that describes the run, stored in the Parquet file.
    """

    def __init__(
        self,
        trec: Path | None,
        predictions: Path | None,
        tag: str = "sgmn",
        meta: Mapping[str, Any] | None = None,
    ) -> None:
        self.trec, self.predictions = trec, predictions
        self.tag = re.sub(r"\s+", "_", tag.strip()) or "sgmn"
        self.meta = dict(meta or {})
        self._files = ExitStack()
        self._drafts: dict[Path, Path] = {}
        self._rows: list[RankedClip] = []
        self._parquet: Any = None

    @property
    def depth(self) -> int:
        """How many items of a query to rank for the files."""
        return DEPTH if self.trec or self.predictions else TOP_K

    def __enter__(self) -> Self:
        if self.trec is not None:
            self._run = self._open(self.trec / "run.txt")
            self._qrels = self._open(self.trec / "qrels.txt")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._files:
            if error is None and self.predictions is not None:
                self._flush()
            if self._parquet is not None:
                self._parquet.close()
        for path, draft in self._drafts.items():
            if error is None:
                draft.replace(path)
            else:
                draft.unlink(missing_ok=True)

    def write(self, queries: Iterator[RankedClip]) -> Iterator[RankedClip]:
        """Write each result and yield it with its first `TOP_K` items only."""
        for query in queries:
            if self.trec is not None:
                self._write_trec(query)
            if self.predictions is not None:
                self._rows.append(query)
                if len(self._rows) == _BATCH:
                    self._flush()
            yield replace(query, best=query.best[:TOP_K], scores=query.scores[:TOP_K])

    def _draft(self, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._drafts[path] = path.with_name(f".{path.name}.part")
        return self._drafts[path]

    def _open(self, path: Path) -> TextIO:
        return self._files.enter_context(self._draft(path).open("w", encoding="utf-8"))

    def _write_trec(self, query: RankedClip) -> None:
        name = _escape(query.clip_id)
        answers = zip(query.best, query.scores, strict=True)
        for rank, (item, score) in enumerate(answers, start=1):
            self._run.write(f"{name} Q0 {_escape(item)} {rank} {score!r} {self.tag}\n")
        for item in query.truths:
            self._qrels.write(f"{name} 0 {_escape(item)} 1\n")

    def _flush(self) -> None:
        import pyarrow.parquet as pq

        assert self.predictions is not None
        table = _to_table(self._rows, self.meta)
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._draft(self.predictions), table.schema)
        self._parquet.write_table(table)
        self._rows = []


def _to_table(queries: Sequence[RankedClip], meta: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    texts = pa.list_(pa.string())
    columns: dict[str, tuple[Any, list[Any]]] = {
        "query_id": (pa.string(), [q.clip_id for q in queries]),
        "shop_id": (pa.string(), [q.shop_id for q in queries]),
        "shelf_size": (pa.int64(), [q.shelf_size for q in queries]),
        "rank": (pa.int64(), [q.rank for q in queries]),
        "item_ids": (texts, [list(q.best) for q in queries]),
        "scores": (pa.list_(pa.float64()), [list(q.scores) for q in queries]),
        "true_item_ids": (texts, [list(q.truths) for q in queries]),
        "attributes": (pa.string(), [_to_json(q.attributes) for q in queries]),
    }
    fields = [pa.field(name, kind) for name, (kind, _) in columns.items()]
    schema = pa.schema(fields, metadata={"sgmn": _to_json(meta)})
    arrays = [pa.array(values, kind) for kind, values in columns.values()]
    return pa.Table.from_arrays(arrays, schema=schema)


def _to_json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), ensure_ascii=False)


def _escape(text: str) -> str:
    """Escape whitespace and percent signs, and nothing else."""
    return re.sub(r"[\s%]", lambda match: quote(match[0]), text)
