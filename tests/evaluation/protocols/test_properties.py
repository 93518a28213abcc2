"""The figures of a protocol equal those of a brute-force computation in plain loops."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sgmn.evaluation.protocols.gallery import build_gallery
from sgmn.evaluation.ranking import RankedClip, rank_clip
from sgmn.evaluation.report import compute_row
from sgmn.records import Clip, Product


@dataclass
class Case:
    """Products by live with their numbers of views, and queries with the scores of all views."""

    lives: list[list[int]]
    queries: list[tuple[int, set[int], bool, list[float]]]  # live, truths, missing, scores


@st.composite
def cases(draw: st.DrawFn) -> Case:
    lives = draw(
        st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=8), min_size=1, max_size=3)
    )
    queries = []
    for _ in range(draw(st.integers(1, 6))):
        live = draw(st.integers(0, len(lives) - 1))
        truths = draw(st.sets(st.integers(0, len(lives[live])), min_size=1, max_size=3))
        views = sum(lives[live])
        scores = draw(st.lists(st.permutations(range(views)), min_size=1, max_size=1))[0]
        queries.append((live, truths, draw(st.booleans()), [float(s) for s in scores]))
    return Case(lives, queries)


def answers_of(case: Case, name: str) -> list[RankedClip]:
    products = [
        Product(
            f"p{n}",
            image=Path(f"{n}-0.jpg"),
            shop_id=f"l{live}",
            images=tuple(Path(f"{n}-{v}.jpg") for v in range(1, views)),
        )
        for live, own in enumerate(case.lives)
        for n, views in enumerate(own)
    ]
    gallery, results = build_gallery(name, products), []
    for number, (live, truths, missing, scores) in enumerate(case.queries):
        ids = tuple(f"p{t}" for t in sorted(truths))
        clip = Clip(f"c{number}", Path("v.mp4"), product_ids=ids, shop_id=f"l{live}")
        query = gallery.to_query(clip)
        items = [item.product_id for item in gallery.shelves[f"l{live}"]]
        own = scores if name == "full" else [scores[i] for i in _first_views(case.lives[live])]
        if missing:
            results.append(gallery.to_miss(query))
        else:
            results.append(rank_clip(query, items, np.array(own)))
    return results


def _first_views(views: list[int]) -> list[int]:
    return [sum(views[:n]) for n in range(len(views))]


def brute_force(case: Case, name: str, ks: tuple[int, ...]) -> dict[str, float]:
    """R@k and NDCG@10 from the scores, without any code of the package."""
    hits, ndcg = dict.fromkeys(ks, 0), 0.0
    for live, truths, missing, scores in case.queries:
        views = [(n, v) for n, count in enumerate(case.lives[live]) for v in range(count)]
        pairs = [
            (score, n)
            for score, (n, v) in zip(scores, views, strict=True)
            if name == "full" or v == 0
        ]
        order = [n for _, n in sorted(pairs, reverse=True)]
        relevant = [n in truths for n in order]
        for k in ks:
            hits[k] += not missing and any(relevant[:k])
        listed = sum(relevant) + sum(t >= len(case.lives[live]) for t in truths)
        ideal = sum(1 / log2(place + 2) for place in range(min(10, listed)))
        gain = sum(1 / log2(place + 2) for place, own in enumerate(relevant[:10]) if own)
        ndcg += 0 if missing else gain / ideal
    count = len(case.queries)
    return {f"R@{k}": hits[k] / count for k in ks} | {"NDCG@10": ndcg / count}


@given(cases(), st.sampled_from(["main", "full"]))
def test_figures_equal_a_brute_force_computation(case: Case, name: str) -> None:
    ks = (1, 3, 5, 10, 20)
    row = compute_row(answers_of(case, name), "all", "", ks, 0)
    computed = {f"R@{k}": row.recall[k].value for k in ks} | {"NDCG@10": row.ndcg.value}
    expected = brute_force(case, name, ks)
    assert row.count == len(case.queries)
    assert all(abs(computed[key] - expected[key]) < 1e-9 for key in expected), (computed, expected)
