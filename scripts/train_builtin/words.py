"""How much words should weigh beside pictures, on photographs that the towers have not learnt.

    python scripts/train_builtin/words.py PROBE CATALOGUE HELD [--clips 300]
    python scripts/train_builtin/words.py MODEL --apply 0.5 [--temperature 0.4] -o OUT

On its own training photographs a model knows pictures too well, so the weight of words that it
learns there is too small. PROBE is a model trained like the first stage on some of the photos;
HELD is a folder whose photos.jsonl has the rest. The table says how the ratio of the words' weight
to all weights of pictures does on cluttered clips composed of HELD. `--apply` writes MODEL with the
ratio that was chosen, and with the temperature that scripts/fit_timeline.py found.
"""

from __future__ import annotations

import argparse
from math import log
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sgmn import jobs
from sgmn.data import dataset
from sgmn.model import checkpoint
from sgmn.model.scoring import ScoreWeights, terms
from sgmn.training.config import DataConfig, TrainConfig
from sgmn.training.contents import Contents
from sgmn.training.examples import Examples

RATIOS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 3.0)
FRAMES = 8


def main() -> None:
    given = parsed()
    if given.apply is None:
        table(given)
    else:
        applied(given)


def table(given: argparse.Namespace) -> None:
    """R@1, MRR and log loss of each ratio."""
    seen, said, telling, truth, scale = measured(given)
    spread = [float(part.std(1).mean()) for part in (seen, said)]
    print(f"spread over the shelf: pictures {spread[0]:.3f}, words {spread[1]:.3f}")
    print("ratio  R@1   MRR    log loss")
    for ratio in RATIOS:
        share = ratio * telling[:, None]
        scores = (seen + share * said) / (1 + share)
        own = scores.gather(1, truth[:, None])
        ranks = (scores > own).sum(1) + 1
        loss = -(scores * scale * (1 + ratio)).log_softmax(1).gather(1, truth[:, None]).mean()
        hits = 100 * float((ranks == 1).float().mean())
        print(f"{ratio:5.1f}  {hits:4.1f}  {float((1 / ranks).mean()):.3f}  {float(loss):.3f}")


@torch.inference_mode()
def measured(given: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor, Tensor, float]:
    """The pictures' and the words' part of each pair (B, S), how much the words tell (B,), the
    truth (B,), the logit scale."""
    examples = Examples([dataset.read(given.catalogue), dataset.read(given.held)])
    used = jobs.embedder(str(given.model))
    train = TrainConfig(drop_transcript=0.0)
    sayings = (Path(__file__).with_name("groceries.jsonl"),)
    data = DataConfig((given.held,), frames=FRAMES, clutter=1.0, sayings=sayings)
    contents = Contents(examples, data, train, used.max_side)
    rng = np.random.default_rng(given.seed)
    items = [examples.items[i] for i in rng.permutation(len(examples.items))[: given.clips]]
    clips = used.clips([contents.clip(item, 1.0, rng) for item in items])
    products = list(examples.products.values())
    shelf = used.products([contents.plain_product(product) for product in products])
    truth = torch.tensor([examples.numbers[examples.sold(item)[0]] for item in items])
    weights = used.ranker.weights
    found = terms(clips, shelf, weights)
    seen = sum(
        found[n].weight * found[n].value for n in ("picture", "match", "instances") if n in found
    )
    assert isinstance(seen, Tensor)
    said, scale = clips.words @ shelf.words.T, float(weights.logit_scale)
    return seen / pictures(weights), said, clips.telling, truth, scale


def pictures(weights: ScoreWeights) -> float:
    """The weights of pictures together."""
    return float(1 + weights.match + weights.instances)


def applied(given: argparse.Namespace) -> None:
    """Write a model whose words weigh `apply` times its pictures, its logits so much surer."""
    model = checkpoint.load(given.model)
    head = model.network.head
    with torch.no_grad():
        before = head()
        head.text.fill_(given.apply * pictures(before))
        more = (1 + given.apply) * pictures(before) / float(before.text + pictures(before))
        head.log_scale -= log(given.temperature)
        print(f"words weigh {float(head.text):.3f} beside {pictures(before):.3f} of pictures")
        print(f"the score's range grows by {more:.2f} (log {log(more):.2f})")
    checkpoint.save(model, given.output)


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("catalogue", type=Path, nargs="?")
    parser.add_argument("held", type=Path, nargs="?")
    parser.add_argument("--clips", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--apply", type=float, metavar="RATIO")
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
