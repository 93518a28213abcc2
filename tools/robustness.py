"""What a model loses when clips get worse: a table for its card.

    python tools/robustness.py DATASET --index INDEX [--model MODEL] --json OUT.json

Prints R@1, R@5 and MRR on the clips of a dataset as they are and with one thing changed at a
time, each with its paired difference in R@1 to the clips as they are and to the picture alone.
A model that has learnt to listen falls when the words are another clip's; how far below the
picture alone says how much it trusts them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sgmn import outputs
from sgmn.batching import batched
from sgmn.catalogue.index import Index
from sgmn.catalogue.shelf import Shelf
from sgmn.cli import console
from sgmn.data import dataset
from sgmn.errors import MediaError
from sgmn.evaluation import metrics, robustness
from sgmn.evaluation.ranking import Ranked, rank
from sgmn.evaluation.report import Estimate, measure
from sgmn.evaluation.significance import Paired, paired_test
from sgmn.evaluation.tables import markdown_table
from sgmn.media.record_content import clip_content, product_content
from sgmn.model.embedder import Embedder
from sgmn.model.tokens import Looks
from sgmn.records import Clip, ClipContent, Picture, ProductContent
from sgmn.workflows import evaluation, opening

PLAIN, PICTURE = "as they are", "picture only (no transcript, no titles)"
WORSE = {
    "low light": robustness.darkened,
    f"pictures of {robustness.SMALL_SIDE} px": lambda shown, rng: robustness.coarsened(shown),
    f"JPEG quality {robustness.QUALITY}": lambda shown, rng: robustness.compressed(shown),
}
HEADER = ["clips", "R@1", "R@5", "MRR", "R@1 against as they are", "p"]
HEADER += ["R@1 against picture only", "p"]
CAPTION = (
    "R@1 and R@5 in %, with 95 % bootstrap intervals over clips; differences are paired, p is"
    " two-sided (exact McNemar), each row for itself, not corrected for the number of rows."
)


class Untitled:
    """The shelf of each shop, its products encoded without their titles."""

    def __init__(self, whole: opening.Shelves, used: Embedder) -> None:
        self.whole, self.used = whole, used
        self.read: dict[str, Shelf] = {}

    def __getitem__(self, shop_id: str) -> Shelf:
        if shop_id not in self.read:
            side = self.used.max_side
            products = self.whole[shop_id].products
            contents = [product_content(product, max_side=side) for product in products]
            vectors = self.used.products([ProductContent(c.pictures) for c in contents])
            self.read[shop_id] = Shelf(products, vectors)
        return self.read[shop_id]


class Trial:
    """Ranks clips under every condition, a few at a time, so that each is decoded once."""

    def __init__(self, clips: Sequence[Clip], index: Index, used: Embedder, seed: int) -> None:
        self.clips, self.used, self.seed = clips, used, seed
        self.whole = opening.Shelves(index)
        self.untitled = Untitled(self.whole, used)
        self.swapped = robustness.swapped_words(clips, np.random.default_rng(seed))
        self.damage: list[str] = []

    def ranked(self) -> Iterator[dict[str, Ranked]]:
        """For each clip, in order, its answer under each condition."""
        for places in batched(range(len(self.clips)), evaluation.TOGETHER):
            contents = [self._content(self.clips[place]) for place in places]
            found = {
                name: self._answers(places, contents, *condition)
                for name, *condition in self._conditions(places, contents)
            }
            for row in range(len(places)):
                yield {name: answers[row] for name, answers in found.items()}

    def _content(self, clip: Clip) -> ClipContent | None:
        try:
            side = self.used.max_side
            return clip_content(clip, wanted=evaluation.FRAMES, max_side=side, damage=self.damage)
        except MediaError as error:
            self.damage.append(str(error))
            return None

    def _conditions(
        self, places: Sequence[int], contents: Sequence[ClipContent | None]
    ) -> Iterator[tuple[str, Sequence[Looks], Sequence[str], Any]]:
        """Name, frames, words and shelves of each condition for some clips."""
        shown = [content.frames if content else () for content in contents]
        words, silent = [self.clips[place].words for place in places], [""] * len(places)
        looks = [self.used.pictures(frames) for frames in shown]
        yield PLAIN, looks, words, self.whole
        yield "transcript removed", looks, silent, self.whole
        yield "transcript of another clip", looks, [self.swapped[i] for i in places], self.whole
        yield "titles removed", looks, words, self.untitled
        yield "picture removed", [look[:0] for look in looks], words, self.whole
        draws = [np.random.default_rng([self.seed, place]) for place in places]
        halves = [
            look[robustness.half(len(look), rng)] for look, rng in zip(looks, draws, strict=True)
        ]
        yield "half of the frames", halves, words, self.whole
        for name, worse in WORSE.items():
            spoilt: list[list[Picture]] = [
                [worse(frame, rng) for frame in frames]
                for frames, rng in zip(shown, draws, strict=True)
            ]
            yield name, [self.used.pictures(frames) for frames in spoilt], words, self.whole
        yield PICTURE, looks, silent, self.untitled

    def _answers(
        self,
        places: Sequence[int],
        contents: Sequence[ClipContent | None],
        looks: Sequence[Looks],
        words: Sequence[str],
        shelves: opening.Shelves | Untitled,
    ) -> list[Ranked]:
        vectors, answers = self.used.windows(looks, words), []
        for row, place in enumerate(places):
            clip = self.clips[place]
            shelf = shelves[clip.shop_id]
            scores = shelf.scores(vectors[row : row + 1], self.used.ranker)[0].numpy()
            returned = scores if contents[row] else np.full_like(scores, -np.inf)
            answers.append(rank(clip, shelf.product_ids, returned))
        return answers


def figures(answers: Sequence[dict[str, Ranked]], seed: int) -> dict[str, dict[str, Any]]:
    """For each condition its estimates, its tests and the ranks that they rest on."""
    ranks = {name: [answer[name].rank for answer in answers] for name in answers[0]}
    return {
        name: {
            "estimates": _estimates([answer[name] for answer in answers], seed),
            "against_plain": _tests(ranks[PLAIN], own, seed),
            "against_picture": _tests(ranks[PICTURE], own, seed),
            "ranks": own,
        }
        for name, own in ranks.items()
    }


def _estimates(answers: Sequence[Ranked], seed: int) -> dict[str, Estimate]:
    row = measure(answers, "", "", (1, 5), seed)
    return {"recall_1": row.recall[1], "recall_5": row.recall[5], "mrr": row.mrr}


def _tests(before: metrics.Ranks, after: metrics.Ranks, seed: int) -> dict[str, Paired]:
    hits = (metrics.hits_at(ranks, 1) for ranks in (before, after))
    inverses = (metrics.reciprocal_ranks(ranks) for ranks in (before, after))
    return {"recall_1": paired_test(*hits, seed), "mrr": paired_test(*inverses, seed)}


def table(found: dict[str, dict[str, Any]]) -> str:
    """The figures as Markdown."""
    return markdown_table(HEADER, [_cells(name, row) for name, row in found.items()], CAPTION)


def _cells(name: str, row: dict[str, Any]) -> list[str]:
    estimates = row["estimates"]
    cells = [name, *(_percent(estimates[k]) for k in ("recall_1", "recall_5"))]
    mrr = estimates["mrr"]
    cells.append(f"{mrr.value:.3f} ({mrr.low:.3f}–{mrr.high:.3f})")
    for reference, itself in (("against_plain", PLAIN), ("against_picture", PICTURE)):
        cells += ["", ""] if name == itself else _difference(row[reference]["recall_1"])
    return cells


def _percent(share: Estimate) -> str:
    return f"{100 * share.value:.1f} ({100 * share.low:.1f}–{100 * share.high:.1f})"


def _difference(test: Paired) -> list[str]:
    moved, low, high = (f"{100 * part:+z.1f}" for part in (test.difference, test.low, test.high))
    return [f"{moved} ({low} to {high})", "<0.001" if test.p < 1e-3 else f"{test.p:.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--index", type=Path, required=True)
    parser.add_argument("--model", help="the model that made the index, where it has moved")
    parser.add_argument("--json", type=Path, required=True, help="write figures and ranks here")
    parser.add_argument("--seed", type=int, default=0, help="of the damage and the intervals")
    given = parser.parse_args()
    outputs.require_writable(given.json)
    clips, _, _ = evaluation.labelled(dataset.read(given.dataset), "")
    used = opening.embedder(opening.model_of(given.index, given.model))
    index = opening.opened(given.index, used)
    trial = Trial(clips, index, used, given.seed)
    found = figures(list(console.counted(trial.ranked(), "ranking", len(clips))), given.seed)
    about = {"dataset": given.dataset.name, "clips": len(clips), "seed": given.seed}
    about |= {"model": used.model.name, "fingerprint": index.model.fingerprint}
    content = {"meta": about, "clip_ids": [c.clip_id for c in clips], "conditions": found}
    outputs.write_text(given.json, json.dumps(content, default=asdict, indent=1) + "\n")
    print(table(found))
    for line in trial.damage:
        print(f"damaged: {line}")


if __name__ == "__main__":
    main()
