"""Compare a trained model with the one it started from, and keep the better of them.

A few pairs of a shop can make a model worse. The clips of the split "val", which training does not
use, decide: the trained model is kept only if it ranks more of them correctly or, if both rank as
many correctly, if its mean reciprocal rank is higher.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sgmn.evaluation.metrics import Ranks, hits_at, reciprocal_ranks
from sgmn.evaluation.significance import PairedTestResult, paired_test
from sgmn.model import checkpoint
from sgmn.model.bundle import ModelBundle
from sgmn.model.calibration import calibrated_network
from sgmn.records import Clip, Product
from sgmn.training.data.token_cache import TokenCache, hash_towers
from sgmn.training.validation import Validation

HELD_OUT = "val"
WORSE = "checkpoint-worse"
Progress = Callable[[int, int], None]  # items encoded so far, of how many


@dataclass(frozen=True)
class StartComparison:
    """The trained model (b) against its start (a) on `count` held-out clips; shares 0..1.

    Attributes:
        count: number of clips.
        recall_1: R@1.
        mrr: mean reciprocal rank.
        damage: one line for each file that could not be read.
    """

    count: int
    recall_1: PairedTestResult
    mrr: PairedTestResult
    damage: tuple[str, ...]

    @property
    def is_better(self) -> bool:
        """Whether the trained model is to be kept."""
        return (self.recall_1.difference, self.mrr.difference) > (0, 0)

    def __str__(self) -> str:
        r, m = self.recall_1, self.mrr
        return (
            f"{self.count} held-out clips: R@1 {100 * r.a:.1f} at the start, {100 * r.b:.1f} after"
            f" training (p = {r.p:.2g}); mean reciprocal rank {m.a:.3f} and {m.b:.3f}"
        )


def compare_with_start(
    start: ModelBundle,
    trained: ModelBundle,
    clips: Sequence[Clip],
    products: Sequence[Product],
    progress: Progress = lambda done, total: None,
) -> StartComparison:
    """Rank the same clips with both models, each with the second glances that it chooses itself.

    Args:
        start: the model before training.
        trained: the model after training.
        clips: labeled clips that neither was trained on.
        products: at least those of the clips' shops.
        progress: called while items are encoded.
    """
    damage: dict[str, None] = {}
    ranks = []
    for number, model in enumerate((start, trained)):

        def show(done: int, total: int, number: int = number) -> None:
            progress(number * total + done, 2 * total)

        ranks.append(_rank(model, clips, products, show, damage))
    before, after = ranks
    recall_1 = paired_test(hits_at(before, 1), hits_at(after, 1))
    mrr = paired_test(reciprocal_ranks(before), reciprocal_ranks(after))
    return StartComparison(len(before), recall_1, mrr, tuple(damage))


def _rank(
    model: ModelBundle,
    clips: Sequence[Clip],
    products: Sequence[Product],
    progress: Progress,
    damage: dict[str, None],
) -> Ranks:
    with TemporaryDirectory() as folder:
        cache = TokenCache(Path(folder), hash_towers(model))
        validation = Validation.create(clips, products, model, cache)
        damage.update(dict.fromkeys(validation.fill(progress)))
        return [answer.rank for answer in validation.rank_clips(calibrated_network(model))]


def keep_start(run: Path, start: ModelBundle) -> Path:
    """Make the start the checkpoint of a run again; returns where the trained model is now."""
    worse = run / WORSE
    shutil.rmtree(worse, ignore_errors=True)
    (run / "checkpoint").rename(worse)
    checkpoint.save(start, run / "checkpoint")
    return worse
