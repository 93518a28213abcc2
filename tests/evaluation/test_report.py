import json
from collections import Counter
from dataclasses import replace
from io import StringIO
from math import inf

import numpy as np
import pytest
from rich.console import Console

from sgmn.errors import SgmnError
from sgmn.evaluation import metrics
from sgmn.evaluation.ranking import RankedClip
from sgmn.evaluation.report import Report
from sgmn.evaluation.significance import bootstrap_ci
from sgmn.evaluation.tables import terminal_table

RANKS = [1, 1, 2, 7, None, 30]
SCALES = ["small", "large", "small", "large", "small", "small"]


def query(name, rank, shelf_size=40, **attributes):
    best = tuple("truth" if i + 1 == rank else f"p{i}" for i in range(10))
    return RankedClip(name, "s", rank, best, (0.5,) * 10, ("truth",), shelf_size, attributes)


def make_report(ranks=RANKS, **options):
    queries = (
        query(f"c{i}", r, scale=s) for i, (r, s) in enumerate(zip(ranks, SCALES, strict=True))
    )
    return Report(tuple(queries), **options)


def test_overall_counts_every_query():
    row = make_report().overall
    assert (row.count, row.misses, row.shelf_size) == (6, 1, 40)
    assert {k: r.value for k, r in row.recall.items()} == {1: 2 / 6, 3: 3 / 6, 5: 3 / 6, 10: 4 / 6}
    assert row.mrr.value == pytest.approx(metrics.mrr(RANKS))
    assert row.median_rank.value == 4.5
    assert row.ndcg.value == pytest.approx((1 + 1 + 1 / np.log2(3) + 1 / 3 + 0 + 0) / 6)


def test_intervals_are_bootstrapped_with_the_seed():
    hits = metrics.hits_at(RANKS, 1)
    for seed in (0, 7):
        recall = make_report(seed=seed).overall.recall[1]
        assert (recall.low, recall.high) == bootstrap_ci(hits, np.mean, seed)
    assert make_report().overall.median_rank.high == inf


def test_groups_add_up_to_the_whole():
    report = make_report()
    assert [(r.attribute, r.value, r.count) for r in report.breakdown] == [
        ("scale", "large", 2),
        ("scale", "small", 4),
    ]
    weighted = sum(r.count * r.recall[1].value for r in report.breakdown) / 6
    assert weighted == pytest.approx(report.overall.recall[1].value)
    assert [r.misses for r in report.breakdown] == [0, 1]


def test_json_is_read_back_unchanged():
    report = make_report(seed=3, meta={"dataset": "val", "gallery": "main"}, ks=(1, 20))
    text = report.to_json()
    again = Report.from_json(text)
    assert again == report
    assert again.to_json() == text
    content = json.loads(text)
    assert "grounding" not in content
    grounded = replace(report, grounding={"own": {"alpha_lift": 2.0}})
    assert Report.from_json(grounded.to_json()).grounding == {"own": {"alpha_lift": 2.0}}
    assert content["overall"]["median_rank"]["high"] is None
    assert content["queries"][4]["rank"] is None
    assert content["breakdown"][0]["recall"]["20"]["value"] == 1


def without(content, name):
    return {key: value for key, value in content.items() if key != name}


def with_rank(content, rank):
    queries = [content["queries"][0] | {"rank": rank}, *content["queries"][1:]]
    return content | {"queries": queries}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: without(c, "queries"), "not a report.*queries"),
        (lambda c: c | {"version": 99}, "version 99"),
        (lambda c: c | {"queries": c["queries"][:-1]}, "states 6 queries.*has 5"),
        (lambda c: with_rank(c, 2), "the file was edited"),
        (lambda c: with_rank(c, 41), "not in 1..40"),
        (lambda c: c | {"queries": [{"clip_id": "c0"}]}, "not a report"),
        (lambda c: c | {"queries": []}, "no queries"),
        (lambda c: [c], "not a report"),
    ],
)
def test_an_edited_file_is_rejected(change, message):
    content = change(json.loads(make_report().to_json()))
    with pytest.raises(SgmnError, match=message):
        Report.from_json(json.dumps(content), "run.json")


def test_an_error_for_invalid_json_names_the_file():
    with pytest.raises(SgmnError, match=r"run\.json: is not a report"):
        Report.from_json("{", "run.json")


def test_a_repeated_clip_is_rejected():
    with pytest.raises(SgmnError, match="'c0' 2 times"):
        Report((query("c0", 1), query("c0", 2)))


@pytest.mark.parametrize("meta", [{"loss": float("nan")}, {"model": object()}])
def test_meta_that_json_cannot_represent_is_rejected(meta):
    with pytest.raises(SgmnError, match="use only JSON types in meta and attributes"):
        make_report(meta=meta).to_json()


def render(table, width=200):
    screen = StringIO()
    Console(file=screen, width=width).print(table)
    return screen.getvalue()


def test_cells_that_look_like_markup_are_printed_literally():
    screen = render(terminal_table("t", ["a", "b"], [["[new] x [/b]", ":lime: [red]1[/red]"]]))
    assert "[new] x [/b]" in screen and ":lime: [red]1[/red]" in screen


def test_tables_contain_the_figures():
    report = make_report()
    document = report.markdown().splitlines()
    assert document[2].startswith("| all | 6 | 33.3 (0.0–66.7) | 50.0 ")
    assert "| 4.5 (1–∞) | 1 | 40 |" in document[2]
    assert document[3].startswith("| scale: large | 2 |")
    assert {len(line.split(" | ")) for line in document[2:5]} == {11}
    screen = render(report.table())
    assert "33.3" in screen and "scale: small" in screen and "R@10" in screen


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_narrow_terminal_loses_no_digit(width):
    report = make_report()
    screen = render(report.table(), width)
    assert "…" not in screen
    digits = Counter(c for c in render(report.table(), 300) if c.isdigit())
    assert Counter(c for c in screen if c.isdigit()) == digits
