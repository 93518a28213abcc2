"""Figures computed by hand: two lives of LPR4M, and a few videos of MovingFashion."""

from __future__ import annotations

from math import log2
from pathlib import Path

import numpy as np
import pytest

from sgmn.errors import SgmnError
from sgmn.evaluation.protocols.gallery import Gallery, build_gallery, complete_attributes
from sgmn.evaluation.protocols.protocol import LPR4M, MOVINGFASHION, find_protocol
from sgmn.evaluation.ranking import rank_clip
from sgmn.evaluation.report import Report
from sgmn.records import Clip, Product


def product(name: str, shop: str = "", views: int = 1, **more: object) -> Product:
    paths = [Path(f"{shop}{name}-{view}.jpg") for view in range(views)]
    return Product(name, f"title {name}", paths[0], tuple(paths[1:]), shop, **more)  # type: ignore[arg-type]


def clip(name: str, *truths: str, shop: str = "", **attributes: str) -> Clip:
    return Clip(name, Path(f"{name}.mp4"), product_ids=truths, shop_id=shop, attributes=attributes)


LIVES = [
    product("a", "l1", 2, category="Food"),
    product("b", "l1", 1),
    product("c", "l1", 3, extra={"main": False}),
    product("a", "l2", 1, category="Toys"),
    product("d", "l2", 2),
]


def ids(gallery: Gallery) -> dict[str, list[str]]:
    return {shop: [item.product_id for item in items] for shop, items in gallery.shelves.items()}


def test_galleries_of_lpr4m() -> None:
    main, full = (build_gallery(name, LIVES) for name in LPR4M.galleries)
    assert ids(main) == {"l1": ["a", "b"], "l2": ["a", "d"]} and len(main) == 4
    assert ids(full) == {
        "l1": ["a-0", "a-1", "b-0", "c-0", "c-1", "c-2"],
        "l2": ["a-0", "d-0", "d-1"],
    }
    assert all(len(item.image_paths) == 1 for own in full.shelves.values() for item in own)
    assert [i.image for i in full.shelves["l1"][:2]] == [Path("l1a-0.jpg"), Path("l1a-1.jpg")]


def test_galleries_of_movingfashion() -> None:
    test, train = [product("1"), product("2")], [product("1"), product("3")]
    shared = Product("9", image=Path("2-0.jpg"))  # the same image as test product 2
    assert ids(build_gallery("test", test, train)) == {"": ["1", "2"]}
    gallery = build_gallery("all", test, [train[1], shared])
    assert ids(gallery) == {"": ["1", "2", "train:3"]}
    assert gallery.to_query(clip("v", "1", "2")).product_ids == ("1", "2")


def report_of(gallery: Gallery, answers: dict[Clip, list[str]], missing: list[Clip]) -> Report:
    """A report of clips whose items were returned in some order."""
    results = []
    for query, order in answers.items():
        items = [item.product_id for item in gallery.shelves[query.shop_id]]
        scores = np.array([-order.index(i) if i in order else -np.inf for i in items], float)
        results.append(rank_clip(gallery.to_query(query), items, scores))
    results += [gallery.to_miss(gallery.to_query(query)) for query in missing]
    return Report(tuple(results), meta={"gallery": gallery.name}, ks=LPR4M.ks)


def test_the_figures_of_lpr4m_in_its_full_gallery() -> None:
    """Ranks 1, 3, 1, none and none: the last two are an unreturned truth and a missing clip."""
    first, second = clip("q1", "a", shop="l1", scale="small"), clip("q2", "c", shop="l1")
    third, fourth = clip("q3", "d", "a", shop="l2"), clip("q4", "a", shop="l2")
    missing = [clip("q5", "a", shop="l2")]
    queries = complete_attributes([first, second, third, fourth], missing, LIVES)
    answers = {
        queries[0]: ["a-1", "b-0", "a-0", "c-0", "c-1", "c-2"],
        queries[1]: ["a-0", "b-0", "c-2", "a-1", "c-0", "c-1"],
        queries[2]: ["a-0", "d-1", "d-0"],
        queries[3]: ["d-0", "d-1"],
    }
    # q3 has the truths d and a: its first answer, an image of a, is right.
    report = report_of(build_gallery("full", LIVES), answers, queries[4:])
    assert [q.rank for q in report.queries] == [1, 3, 1, None, None]
    recall = {k: estimate.value for k, estimate in report.overall.recall.items()}
    assert recall == {1: 2 / 5, 3: 3 / 5, 5: 3 / 5, 10: 3 / 5}
    gains = [1 / log2(rank + 1) for rank in range(1, 7)]
    ndcgs = [
        (gains[0] + gains[2]) / (gains[0] + gains[1]),
        (gains[2] + gains[4] + gains[5]) / (gains[0] + gains[1] + gains[2]),
        1.0,
        0.0,
        0.0,
    ]
    assert report.overall.ndcg.value == pytest.approx(sum(ndcgs) / 5)
    assert report.overall.misses == 2
    assert report.gallery == {"name": "full", "items": 9, "shelves": 2}
    assert "Gallery full: 9 items on 2 shelves." in report.markdown()
    rows = {(r.attribute, r.value): (r.count, r.recall[1].value) for r in report.breakdown}
    assert rows["media", "missing"] == (1, 0.0) and rows["media", "present"] == (4, 0.5)
    assert rows["category", "Food"] == (1, 1.0)
    assert rows["category", "Toys"] == (3, 1 / 3)
    assert rows["scale", "small"] == (1, 1.0)


def test_the_same_clip_may_be_easier_in_the_main_gallery() -> None:
    gallery = build_gallery("main", LIVES)
    answers = {clip("q", "b", shop="l1"): ["a", "b"], clip("r", "c", shop="l1"): ["b", "a"]}
    report = report_of(gallery, answers, [])
    assert [q.rank for q in report.queries] == [2, None]  # c has no main view
    assert report.gallery == {"name": "main", "items": 2, "shelves": 1}


def test_movingfashion_is_broken_down_by_source() -> None:
    gallery = build_gallery("test", [product(str(n)) for n in range(30)])
    order = [str(n) for n in range(30)]
    clips = [
        clip("v", "0", source="regular"),
        clip("w", "19", source="hard"),
        clip("x", "20", "25", source="hard"),
    ]
    report = report_of(gallery, dict.fromkeys(clips, order), [])
    report = Report(report.queries, ks=MOVINGFASHION.ks)
    recall = {k: estimate.value for k, estimate in report.overall.recall.items()}
    assert recall == {1: 1 / 3, 5: 1 / 3, 10: 1 / 3, 20: 2 / 3}
    rows = {r.value: r.recall[20].value for r in report.breakdown}
    assert rows == {"hard": 0.5, "regular": 1.0}


def test_unknown_names_are_refused() -> None:
    with pytest.raises(SgmnError, match="'lpr' is not a protocol; pass lpr4m or movingfashion"):
        find_protocol("lpr")
    with pytest.raises(SgmnError, match="lpr4m has no gallery 'all'; pass main or full"):
        LPR4M.require_gallery("all")
    assert (LPR4M.require_gallery(""), MOVINGFASHION.require_gallery("all")) == ("main", "all")
    with pytest.raises(SgmnError, match="is empty"):
        build_gallery("main", [])
