import json
from collections import Counter
from io import StringIO
from math import inf

import numpy as np
import pytest
from rich.console import Console

from sgmn.errors import SgmnError
from sgmn.evaluation import metrics
from sgmn.evaluation.ranking import Ranked
from sgmn.evaluation.report import Report
from sgmn.evaluation.significance import bootstrap_ci
from sgmn.evaluation.tables import terminal_table

RANKS = [1, 1, 2, 7, None, 30]
SCALES = ["small", "large", "small", "large", "small", "small"]


def query(name, place, shelf_size=40, **attributes):
    best = tuple("truth" if i + 1 == place else f"p{i}" for i in range(10))
    return Ranked(name, "s", place, best, (0.5,) * 10, ("truth",), shelf_size, attributes)


def report(ranks=RANKS, **options):
    queries = (
        query(f"c{i}", r, scale=s) for i, (r, s) in enumerate(zip(ranks, SCALES, strict=True))
    )
    return Report(tuple(queries), **options)


def test_overall_counts_every_query():
    row = report().overall
    assert (row.count, row.misses, row.shelf_size) == (6, 1, 40)
    assert {k: r.value for k, r in row.recall.items()} == {1: 2 / 6, 3: 3 / 6, 5: 3 / 6, 10: 4 / 6}
    assert row.mrr.value == pytest.approx(metrics.mrr(RANKS))
    assert row.median_rank.value == 4.5
    assert row.ndcg.value == pytest.approx((1 + 1 + 1 / np.log2(3) + 1 / 3 + 0 + 0) / 6)


def test_intervals_are_the_bootstrap_of_the_seed():
    hits = metrics.hits_at(RANKS, 1)
    for seed in (0, 7):
        found = report(seed=seed).overall.recall[1]
        assert (found.low, found.high) == bootstrap_ci(hits, np.mean, seed)
    assert report().overall.median_rank.high == inf


def test_groups_add_up_to_the_whole():
    made = report()
    assert [(r.attribute, r.value, r.count) for r in made.breakdown] == [
        ("scale", "large", 2),
        ("scale", "small", 4),
    ]
    weighted = sum(r.count * r.recall[1].value for r in made.breakdown) / 6
    assert weighted == pytest.approx(made.overall.recall[1].value)
    assert [r.misses for r in made.breakdown] == [0, 1]


def test_json_and_back():
    made = report(seed=3, meta={"dataset": "val", "gallery": "main"}, ks=(1, 20))
    text = made.to_json()
    again = Report.from_json(text)
    assert again == made
    assert again.to_json() == text
    content = json.loads(text)
    assert content["overall"]["median_rank"]["high"] is None
    assert content["queries"][4]["rank"] is None
    assert content["breakdown"][0]["recall"]["20"]["value"] == 1


def without(content, name):
    return {key: value for key, value in content.items() if key != name}


def with_rank(content, rank):
    queries = [content["queries"][0] | {"rank": rank}, *content["queries"][1:]]
    return content | {"queries": queries}


@pytest.mark.parametrize(
    "change, fault",
    [
        (lambda c: without(c, "queries"), "no report.*queries"),
        (lambda c: c | {"version": 99}, "version 99"),
        (lambda c: c | {"queries": c["queries"][:-1]}, "says 6 queries.*holds 5"),
        (lambda c: with_rank(c, 2), "the file was changed"),
        (lambda c: with_rank(c, 41), "not in 1..40"),
        (lambda c: c | {"queries": [{"clip_id": "c0"}]}, "no report"),
        (lambda c: c | {"queries": []}, "no queries"),
        (lambda c: [c], "no report"),
    ],
)
def test_a_changed_file_is_refused(change, fault):
    content = change(json.loads(report().to_json()))
    with pytest.raises(SgmnError, match=fault):
        Report.from_json(json.dumps(content), "run.json")


def test_what_is_not_json_is_refused_by_name():
    with pytest.raises(SgmnError, match=r"run\.json: is no report"):
        Report.from_json("{", "run.json")


def test_one_clip_twice_is_refused():
    with pytest.raises(SgmnError, match="'c0' 2 times"):
        Report((query("c0", 1), query("c0", 2)))


@pytest.mark.parametrize("meta", [{"loss": float("nan")}, {"model": object()}])
def test_meta_that_is_no_json_is_refused(meta):
    with pytest.raises(SgmnError, match="keep meta and attributes plain"):
        report(meta=meta).to_json()


def shown(table, width=200):
    screen = StringIO()
    Console(file=screen, width=width).print(table)
    return screen.getvalue()


def test_cells_that_look_like_markup_are_shown_as_they_stand():
    screen = shown(terminal_table("t", ["a", "b"], [["[new] x [/b]", ":lime: [red]1[/red]"]]))
    assert "[new] x [/b]" in screen and ":lime: [red]1[/red]" in screen


def test_tables_show_what_was_measured():
    made = report()
    document = made.markdown().splitlines()
    assert document[2].startswith("| all | 6 | 33.3 (0.0–66.7) | 50.0 ")
    assert "| 4.5 (1–∞) | 1 | 40 |" in document[2]
    assert document[3].startswith("| scale: large | 2 |")
    assert {len(line.split(" | ")) for line in document[2:5]} == {11}
    screen = shown(made.table())
    assert "33.3" in screen and "scale: small" in screen and "R@10" in screen


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_terminal_loses_no_figure(width):
    made = report()
    screen = shown(made.table(), width)
    assert "…" not in screen
    digits = Counter(c for c in shown(made.table(), 300) if c.isdigit())
    assert Counter(c for c in screen if c.isdigit()) == digits
