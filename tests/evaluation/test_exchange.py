"""Figures computed from the written files alone equal those of the report."""

from __future__ import annotations

import json
from collections import defaultdict
from math import log2
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sgmn.evaluation import exchange
from sgmn.evaluation.exchange import ResultFiles
from sgmn.evaluation.ranking import RankedClip
from sgmn.evaluation.report import Report


def make_results(count: int = 40, shelf_size: int = 30) -> list[RankedClip]:
    """Queries with one or two truths at known ranks; every seventh is a miss."""
    results = []
    for n in range(count):
        order = [f"item {(n * 7 + place) % shelf_size}" for place in range(shelf_size)]
        truths = (order[n % 25], *((order[n % 25 + 3],) if n % 3 == 0 else ()))
        best = () if n % 7 == 6 else tuple(order)
        scores = tuple(1 - place / 100 for place in range(len(best)))
        rank = n % 25 + 1 if best else None
        facts = (f"clip {n} 100%", f"s{n % 2}", rank, best, scores, truths, shelf_size)
        results.append(RankedClip(*facts, {"source": "hard"}))
    return results


def compute(
    runs: dict[str, list[str]], truths: dict[str, set[str]], count: int
) -> tuple[float, float, float]:
    """R@1, R@20 and NDCG@10 over all queries with truths."""
    first = sum(any(i in truths[q] for i in runs[q][:1]) for q in truths) / count
    twenty = sum(any(i in truths[q] for i in runs[q][:20]) for q in truths) / count
    ndcg = 0.0
    for query, own in truths.items():
        ideal = sum(1 / log2(place + 2) for place in range(min(10, len(own))))
        gains = (1 / log2(n + 2) for n, item in enumerate(runs[query][:10]) if item in own)
        ndcg += sum(gains) / ideal
    return first, twenty, ndcg / count


def assert_figures(figures: tuple[float, float, float], results: list[RankedClip]) -> None:
    overall = Report(tuple(results), ks=(1, 20)).overall
    expected = (overall.recall[1].value, overall.recall[20].value, overall.ndcg.value)
    assert figures == pytest.approx(expected)
    assert 0 < figures[0] < figures[1] < 1


def test_figures_are_recomputed_from_trec_files(tmp_path: Path) -> None:
    results = make_results()
    with ResultFiles(tmp_path / "trec", None, "a model") as files:
        assert files.depth == exchange.DEPTH
        written = list(files.write(iter(results)))
    assert [len(query.best) for query in written if query.best] == [10] * 35
    runs: dict[str, list[str]] = defaultdict(list)
    scores: dict[str, list[float]] = defaultdict(list)
    truths: dict[str, set[str]] = defaultdict(set)
    for line in (tmp_path / "trec" / "run.txt").read_text().splitlines():
        query, zero, item, rank, score, tag = line.split()
        assert (zero, tag, int(rank)) == ("Q0", "a_model", len(runs[query]) + 1)
        runs[query].append(item)
        scores[query].append(float(score))
    for line in (tmp_path / "trec" / "qrels.txt").read_text().splitlines():
        query, _, item, relevance = line.split()
        assert relevance == "1"
        truths[query].add(item)
    assert all(own == sorted(own, reverse=True) for own in scores.values())
    assert len(truths) == 40 and "clip%200%20100%25" in truths
    assert_figures(compute(runs, truths, 40), results)


def test_figures_are_recomputed_from_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_BATCH", 16)  # several row groups
    results, path = make_results(), tmp_path / "new" / "p.parquet"
    with ResultFiles(None, path, meta={"gallery": "main"}) as files:
        list(files.write(iter(results)))
    table = pq.read_table(path)
    assert json.loads(table.schema.metadata[b"sgmn"]) == {"gallery": "main"}
    rows = table.to_pylist()
    assert [row["rank"] for row in rows] == [result.rank for result in results]
    assert {row["attributes"] for row in rows} == {'{"source": "hard"}'}
    assert {row["shelf_size"] for row in rows} == {30}
    runs = {row["query_id"]: row["item_ids"] for row in rows}
    truths = {row["query_id"]: set(row["true_item_ids"]) for row in rows}
    assert_figures(compute(runs, truths, 40), results)


def test_nothing_is_left_of_an_interrupted_run(tmp_path: Path) -> None:
    (tmp_path / "p.parquet").write_text("earlier")
    with pytest.raises(RuntimeError), ResultFiles(tmp_path, tmp_path / "p.parquet") as files:
        next(files.write(iter(make_results())))
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["p.parquet"]
    assert (tmp_path / "p.parquet").read_text() == "earlier"


@given(st.text(min_size=1, max_size=12))
def test_escaped_ids_have_one_column_and_stay_distinct(text: str) -> None:
    from urllib.parse import unquote

    escaped = exchange._escape(text)
    assert len(escaped.split()) == 1
    assert unquote(escaped, errors="surrogatepass") == text
