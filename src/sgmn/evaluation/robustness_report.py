"""The figures of a robustness test: each condition alone, and paired against two references."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sgmn.evaluation import metrics
from sgmn.evaluation.ranking import RankedClip
from sgmn.evaluation.report import Estimate, compute_row
from sgmn.evaluation.significance import PairedTestResult, paired_test
from sgmn.evaluation.tables import markdown_table

BASELINE = "as they are"
IMAGES_ONLY = "images only (no transcript, no titles)"
HEADER = ["clips", "R@1", "R@5", "MRR", "R@1 against as they are", "p"]
HEADER += ["R@1 against images only", "p"]
CAPTION = (
    "R@1 and R@5 in %, with 95 % bootstrap intervals over clips. Differences are paired; p is"
    " two-sided (exact McNemar), for each row alone, not corrected for the number of rows."
)


@dataclass(frozen=True, slots=True)
class ConditionFigures:
    """The figures of one condition, and the ranks that they follow from.

    The keys of `estimates` are "recall_1", "recall_5" and "mrr"; those of the differences to
    the unchanged clips and to images alone are "recall_1" and "mrr".
    """

    estimates: Mapping[str, Estimate]
    against_baseline: Mapping[str, PairedTestResult]
    against_images_only: Mapping[str, PairedTestResult]
    ranks: metrics.Ranks


def compute_figures(
    answers: Sequence[Mapping[str, RankedClip]], seed: int
) -> dict[str, ConditionFigures]:
    """Compute the figures of each condition from the answers of each clip.

    Args:
        answers: for each clip its answer under each condition; the same conditions for all.
        seed: of the bootstrap and of the tests.
    """
    ranks = {name: [answer[name].rank for answer in answers] for name in answers[0]}
    return {
        name: ConditionFigures(
            _estimates([answer[name] for answer in answers], seed),
            _tests(ranks[BASELINE], own, seed),
            _tests(ranks[IMAGES_ONLY], own, seed),
            own,
        )
        for name, own in ranks.items()
    }


def _estimates(answers: Sequence[RankedClip], seed: int) -> dict[str, Estimate]:
    row = compute_row(answers, "", "", (1, 5), seed)
    return {"recall_1": row.recall[1], "recall_5": row.recall[5], "mrr": row.mrr}


def _tests(before: metrics.Ranks, after: metrics.Ranks, seed: int) -> dict[str, PairedTestResult]:
    hits = [metrics.hits_at(ranks, 1) for ranks in (before, after)]
    inverses = [metrics.reciprocal_ranks(ranks) for ranks in (before, after)]
    return {
        "recall_1": paired_test(hits[0], hits[1], seed),
        "mrr": paired_test(inverses[0], inverses[1], seed),
    }


def robustness_table(figures: Mapping[str, ConditionFigures]) -> str:
    """The figures as a Markdown table with one row per condition."""
    rows = [_cells(name, row) for name, row in figures.items()]
    return markdown_table(HEADER, rows, CAPTION)


def _cells(name: str, row: ConditionFigures) -> list[str]:
    cells = [name, *(_percent(row.estimates[key]) for key in ("recall_1", "recall_5"))]
    mrr = row.estimates["mrr"]
    cells.append(f"{mrr.value:.3f} ({mrr.low:.3f}–{mrr.high:.3f})")
    for tests, reference in (
        (row.against_baseline, BASELINE),
        (row.against_images_only, IMAGES_ONLY),
    ):
        cells += ["", ""] if name == reference else difference_cells(tests["recall_1"])
    return cells


def _percent(share: Estimate) -> str:
    return f"{100 * share.value:.1f} ({100 * share.low:.1f}–{100 * share.high:.1f})"


def difference_cells(test: PairedTestResult) -> list[str]:
    """A paired difference of shares in percentage points with its interval, and its p-value."""
    moved, low, high = (f"{100 * part:+z.1f}" for part in (test.difference, test.low, test.high))
    return [f"{moved} ({low} to {high})", "<0.001" if test.p < 1e-3 else f"{test.p:.3f}"]
