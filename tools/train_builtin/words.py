"""How much words weigh beside pictures, and how little they may veto, on held-back photographs.

    python tools/train_builtin/words.py MODEL CATALOGUE HELD [--world WORLD] …
    python tools/train_builtin/words.py MODEL --apply 0.5 --floor 0.6 [--temperature 0.4] -o OUT

On its own training photographs a model knows pictures too well, so the weight of words that it
learns there is too small; and clips whose words are always right never ask for a floor (see
`scoring.vouched`). HELD is a folder whose photos.jsonl names photographs that the model has not
learnt; what is said there by default is sayings and phrases that it has not learnt either. The
table says how each ratio of the words' weight to all weights of pictures, and each floor, do on
cluttered clips composed of them: with their own words, and with those of a clip of another product.
WORLD is a dataset of clips, such as generated shops that are not used for measuring, where words
tell less; it counts as much as the composed ones. The log loss takes one transcript in five for
wrong. `--apply` writes MODEL with what was chosen, and with the temperature that
tools/fit_timeline.py found.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product as grid
from math import log
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sgmn.data import dataset
from sgmn.media import record_content
from sgmn.model import checkpoint
from sgmn.model.embedder import Embedder
from sgmn.model.scoring import ProductVectors, ScoreWeights, terms, vouched
from sgmn.records import ClipContent
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.data.cached_batches import Item
from sgmn.training.data.example_loader import Contents
from sgmn.training.data.examples import Examples
from sgmn.workflows import opening

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


class Trial(NamedTuple):
    """Clips before a shelf, with their own words and with others', and the truth (B,)."""

    own: Heard
    others: Heard
    truth: Tensor


Kind = list[Trial]  # of clips, a trial a shelf


def main() -> None:
    given = parsed()
    if given.apply is None:
        table(given)
    else:
        applied(given)


@torch.inference_mode()
def table(given: argparse.Namespace) -> None:
    """The log loss of each setting; R@1, MRR, and R@1 with others' words of each kind of clips."""
    used = opening.embedder(str(given.model))
    kinds = [[composed(used, given)]]
    if given.world is not None:
        kinds.append(list(of_world(used, given.world)))
    weights = used.ranker.weights
    scale = float(weights.logit_scale) * pictures(weights)
    print("pictures alone: R@1", *(f"{right(ranks(kind, 0.0, -1.0)):.1f}" for kind in kinds))
    print("ratio  floor  log loss  temperature  R@1, MRR, R@1 with others' words")
    found = {}
    for ratio, floor in grid(RATIOS, FLOORS):
        sharp = {more: lost(kinds, ratio, floor, scale * (1 + ratio) * more) for more in SCALES}
        best = min(sharp, key=sharp.__getitem__)
        found[ratio, floor] = sharp[best]
        cells = [f"{ratio:5.2f}  {floor:5.2f}  {sharp[best]:8.3f}  {1 / best:11.2f}"]
        for kind in kinds:
            own, others = (ranks(kind, ratio, floor, words) for words in ("own", "others"))
            cells.append(f"{right(own):6.1f} {float((1 / own).mean()):6.3f} {right(others):6.1f}")
        print("  ".join(cells))
    ratio, floor = min(found, key=found.__getitem__)
    print(f"the least log loss: --apply {ratio} --floor {floor}")


def ranks(kind: Kind, ratio: float, floor: float, words: str = "own") -> Tensor:
    """Of the truth of each clip (B,)."""
    found = []
    for trial in kind:
        scores = getattr(trial, words).scores(ratio, floor)
        found.append((scores > scores.gather(1, trial.truth[:, None])).sum(1) + 1)
    return torch.cat(found)


def right(found: Tensor) -> float:
    return 100 * float((found == 1).float().mean())


def lost(kinds: list[Kind], ratio: float, floor: float, scale: float) -> float:
    """The mean log loss of kinds of clips, of which each counts as much; of `WRONG` of the clips
    with others' words."""
    found = 0.0
    for share, words in ((1 - WRONG, "own"), (WRONG, "others")):
        for kind in kinds:
            each = [
                -(getattr(trial, words).scores(ratio, floor) * scale)
                .log_softmax(1)
                .gather(1, trial.truth[:, None])
                for trial in kind
            ]
            found += share * float(torch.cat(each).mean()) / len(kinds)
    return found


def composed(used: Embedder, given: argparse.Namespace) -> Trial:
    """Cluttered clips of photographs, before their catalogue."""
    examples = Examples([dataset.read(given.catalogue), dataset.read(given.held)])
    train = TrainConfig(drop_transcript=0.0, dark=0.1)
    sayings = tuple(given.sayings)
    data = DataConfig(
        (given.held,), frames=FRAMES, clutter=1.0, sayings=sayings, phrases=given.phrases
    )
    contents = Contents(examples, data, train, used.max_side)
    rng = np.random.default_rng(given.seed)
    items = drawn(examples.items, given.clips, rng)
    clips = [contents.clip(item, 1.0, rng) for item in items]
    truth = [examples.numbers[examples.sold(item)[0]] for item in items]
    shelf = used.products([contents.plain_product(p) for p in examples.products.values()])
    return trial(used, clips, truth, shelf)


def of_world(used: Embedder, folder: Path) -> Iterator[Trial]:
    """The clips of a dataset, each before the products of its shop, its first product the truth."""
    data = dataset.read(folder)
    for shop in sorted({clip.shop_id for clip in data.clips}):
        products = [product for product in data.products if product.shop_id == shop]
        numbers = {product.product_id: number for number, product in enumerate(products)}
        own = [clip for clip in data.clips if clip.shop_id == shop]
        known = [clip for clip in own if clip.product_ids and clip.product_ids[0] in numbers]
        print(
            f"{len(known)} clips of {shop or folder}, {len(own) - len(known)} of unknown products"
        )
        clips = [record_content.clip_content(clip, max_side=used.max_side) for clip in known]
        listed = [record_content.product_content(p, max_side=used.max_side) for p in products]
        truth = [numbers[clip.product_ids[0]] for clip in known]
        yield trial(used, clips, truth, used.products(listed))


def trial(
    used: Embedder, clips: Sequence[ClipContent], truth: list[int], shelf: ProductVectors
) -> Trial:
    """The parts of the scores of some clips."""
    weights = used.ranker.weights
    looks = [used.pictures(clip.frames) for clip in clips]
    words = [clip.words for clip in clips]
    heard = []
    for said in (words, [words[place] for place in exchanged(truth)]):
        seen = used.windows(looks, said)
        found = terms(seen, shelf, weights)
        of_pictures = [found[n] for n in ("picture", "match", "instances") if n in found]
        part = torch.stack([term.weight * term.value for term in of_pictures]).sum(0)
        cosines = seen.words @ shelf.words.T
        heard.append(Heard(part / pictures(weights), cosines, seen.telling[:, None]))
    return Trial(heard[0], heard[1], torch.tensor(truth))


def drawn(items: Sequence[Item], count: int, rng: np.random.Generator) -> list[Item]:
    """So many of them in any order: each once before any comes again, composed anew."""
    rounds = [rng.permutation(len(items)) for _ in range(0, count, len(items))]
    return [items[place] for place in np.concatenate(rounds)[:count]]


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
    parser.add_argument("--world", type=Path, help="a dataset that counts as much as those clips")
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
