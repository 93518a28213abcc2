"""How much words weigh beside pictures, and how little they may veto, on held-back photographs.

    python scripts/train_builtin/words.py MODEL CATALOGUE HELD [--clips 400] [--sayings FILE …]
    python scripts/train_builtin/words.py MODEL --apply 0.5 --floor 0.6 [--temperature 0.4] -o OUT

On its own training photographs a model knows pictures too well, so the weight of words that it
learns there is too small; and clips whose words are always right never ask for a floor (see
`scoring.vouched`). HELD is a folder whose photos.jsonl names photographs that the model has not
learnt; what is said there by default is sayings and phrases that it has not learnt either. The
table says how each ratio of the words' weight to all weights of pictures, and each floor, do on
cluttered clips composed of them: with their own words, and with those of a clip of another product.
The log loss takes one transcript in five for wrong. `--apply` writes MODEL with what was chosen,
and with the temperature that scripts/fit_timeline.py found.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import product as grid
from math import log
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sgmn import jobs
from sgmn.data import dataset
from sgmn.model import checkpoint
from sgmn.model.scoring import ScoreWeights, terms, vouched
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.contents import Contents
from sgmn.training.examples import Examples

RATIOS = (0.0, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7)
FLOORS = (-1.0, 0.4, 0.5, 0.55, 0.6, 0.65, 0.7)
SCALES = (0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0)
WRONG = 0.2  # of all transcripts, for the log loss
FRAMES = 10


class Heard(NamedTuple):
    """Clips with some words: their pictures' part of the score and the cosines of their words with
    titles (B, S), how much the words tell (B, 1)."""

    seen: Tensor
    said: Tensor
    telling: Tensor

    def scores(self, ratio: float, floor: float) -> Tensor:
        """The score (B, S) if words weighed so much and fell no farther."""
        share = ratio * self.telling
        return (self.seen + share * vouched(self.said, torch.tensor(floor))) / (1 + share)


def main() -> None:
    given = parsed()
    if given.apply is None:
        table(given)
    else:
        applied(given)


def table(given: argparse.Namespace) -> None:
    """R@1 with the clips' own words and with others', and the log loss, of each setting."""
    own, others, truth, scale = measured(given)
    print(f"pictures alone: R@1 {right(own.scores(0.0, -1.0), truth):.1f}")
    print("ratio  floor  own words: R@1  MRR    others' words: R@1  log loss  temperature")
    found = {}
    for ratio, floor in grid(RATIOS, FLOORS):
        scores, misled = (some.scores(ratio, floor) for some in (own, others))
        losses = {
            more: (1 - WRONG) * loss(scores * scale * (1 + ratio) * more, truth)
            + WRONG * loss(misled * scale * (1 + ratio) * more, truth)
            for more in SCALES
        }
        best = min(losses, key=losses.__getitem__)
        found[ratio, floor] = losses[best]
        ranks = (scores > scores.gather(1, truth[:, None])).sum(1) + 1
        print(
            f"{ratio:5.2f}  {floor:5.2f}  {right(scores, truth):14.1f}  "
            f"{float((1 / ranks).mean()):.3f}  {right(misled, truth):18.1f}  "
            f"{losses[best]:8.3f}  {1 / best:11.2f}"
        )
    ratio, floor = min(found, key=found.__getitem__)
    print(f"the least log loss: --apply {ratio} --floor {floor}")


def right(scores: Tensor, truth: Tensor) -> float:
    return 100 * float((scores.argmax(1) == truth).float().mean())


def loss(logits: Tensor, truth: Tensor) -> float:
    return -float(logits.log_softmax(1).gather(1, truth[:, None]).mean())


@torch.inference_mode()
def measured(given: argparse.Namespace) -> tuple[Heard, Heard, Tensor, float]:
    """Clips with their own words and with those of others, the truth (B,), logits a cosine."""
    examples = Examples([dataset.read(given.catalogue), dataset.read(given.held)])
    used = jobs.embedder(str(given.model))
    train = TrainConfig(drop_transcript=0.0, dark=0.1)
    sayings = tuple(given.sayings)
    data = DataConfig(
        (given.held,), frames=FRAMES, clutter=1.0, sayings=sayings, phrases=given.phrases
    )
    contents = Contents(examples, data, train, used.max_side)
    rng = np.random.default_rng(given.seed)
    items = [examples.items[i] for i in rng.permutation(len(examples.items))[: given.clips]]
    shown = [contents.clip(item, 1.0, rng) for item in items]
    looks = [used.pictures(clip.frames) for clip in shown]
    truth = torch.tensor([examples.numbers[examples.sold(item)[0]] for item in items])
    shelf = used.products([contents.plain_product(p) for p in examples.products.values()])
    weights = used.ranker.weights
    words = [clip.words for clip in shown]
    heard = []
    for said in (words, [words[place] for place in exchanged(truth.tolist())]):
        clips = used.windows(looks, said)
        found = terms(clips, shelf, weights)
        seen = [found[n] for n in ("picture", "match", "instances") if n in found]
        part = torch.stack([term.weight * term.value for term in seen]).sum(0) / pictures(weights)
        heard.append(Heard(part, clips.words @ shelf.words.T, clips.telling[:, None]))
    return heard[0], heard[1], truth, float(weights.logit_scale) * pictures(weights)


def exchanged(truth: list[int]) -> Iterator[int]:
    """For each clip the next one round the circle that sells something else."""
    for place, own in enumerate(truth):
        after = (*range(place + 1, len(truth)), *range(place))
        yield next(other for other in after if truth[other] != own)


def pictures(weights: ScoreWeights) -> float:
    """The weights of pictures together."""
    return float(1 + weights.match + weights.instances)


def applied(given: argparse.Namespace) -> None:
    """Write a model whose words weigh `apply` times its pictures, its logits so much surer."""
    model = checkpoint.load(given.model)
    network = model.network
    network.config = replace(network.config, word_floor=given.floor)
    with torch.no_grad():
        before = network.head()
        network.head.text.fill_(given.apply * pictures(before))
        network.head.log_scale -= log(given.temperature)
    words = float(network.head.text.detach())
    print(f"words weigh {words:.3f} beside {pictures(before):.3f}, floor {given.floor}")
    checkpoint.save(model, given.output)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("catalogue", type=Path, nargs="?")
    parser.add_argument("held", type=Path, nargs="?")
    parser.add_argument("--clips", type=int, default=400)
    told, said = (
        Path(__file__).with_name(n) for n in ("groceries-held.jsonl", "phrases-held.toml")
    )
    parser.add_argument("--sayings", type=Path, nargs="*", default=[told])
    parser.add_argument("--phrases", type=Path, default=said)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--apply", type=float, metavar="RATIO")
    parser.add_argument("--floor", type=float, default=-1.0, help="a cosine; -1 for none")
    parser.add_argument("--temperature", type=float, default=1.0, help="divides the logits")
    parser.add_argument("--output", "-o", type=Path)
    given = parser.parse_args()
    if given.apply is None and given.held is None:
        parser.error("give CATALOGUE and HELD, or --apply")
    if given.apply is not None and given.output is None:
        parser.error("--apply needs --output")
    return given


if __name__ == "__main__":
    main()
