"""What each part of a trained model is worth to it: its answers with that part left out.

    python tools/left_out.py MODEL DATASET [--catalogue FOLDER] [--use picture]

Nothing is trained anew, so what the other parts have learnt to leave to the one that is missing
is missing too: `sgmn ablate` trains each row for itself. Prints R@1 and MRR of the whole model, of
its towers alone, and of the model without each of its parts and terms, with paired tests.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sgmn.cli import console
from sgmn.data import dataset
from sgmn.evaluation.metrics import Ranks, hits_at, reciprocal_ranks
from sgmn.evaluation.significance import bootstrap_ci, paired_test
from sgmn.evaluation.tables import markdown_table
from sgmn.model import checkpoint
from sgmn.model.network import SGMN
from sgmn.model.scoring import MODALITIES
from sgmn.training.data.token_cache import TokenCache, towers_hash
from sgmn.training.validation import Validation

WHOLE = "the whole model"
HEADER = ["model", "R@1", "MRR", "R@1 against the whole", "p"]


def main() -> None:
    given = parsed()
    model = checkpoint.load(given.model)
    read = dataset.read(given.dataset)
    listed = dataset.read(given.catalogue).products if given.catalogue else read.products
    with TemporaryDirectory() as folder:
        cache = TokenCache(Path(folder), towers_hash(model))
        validation = Validation.of(read.clips, listed, model, cache)
        with console.bar() as bar:
            task = bar.add_task("encoding", total=None)
            damage = validation.fill(
                lambda done, total: bar.update(task, completed=done, total=total)
            )
        found = {
            name: [answer.rank for answer in validation.ranked(network, given.use or MODALITIES)]
            for name, network in variants(model.network)
        }
    print(markdown_table(HEADER, [row(name, ranks, found[WHOLE]) for name, ranks in found.items()]))
    for line in damage:
        print(f"damaged: {line}")


def variants(network: SGMN) -> Iterator[tuple[str, SGMN]]:
    """The network, and the same without each of what it has; all share their towers."""
    kept, terms = network.config.parts.kept, network.config.terms
    yield WHOLE, network
    yield "towers alone", without(network, parts=kept, terms=terms)
    for part in kept:
        yield f"without {part}", without(network, parts=(part,))
    for term in terms:
        if term not in kept and bool(getattr(network.head(), term) > 0):
            yield f"without the term {term}", without(network, terms=(term,))
    if network.config.word_floor > -1:
        changed = without(network)
        changed.head.floor.fill_(-1.0)
        yield "without the floor of words", changed


def without(network: SGMN, parts: Sequence[str] = (), terms: Sequence[str] = ()) -> SGMN:
    """A copy of the network with some parts and terms left out."""
    own = network.config
    kept = replace(own.parts, kept=tuple(p for p in own.parts.kept if p not in parts))
    return network.with_parts(kept, tuple(t for t in own.terms if t not in terms)).eval()


def row(name: str, ranks: Ranks, whole: Ranks) -> list[str]:
    hits, mrr = hits_at(ranks, 1), float(reciprocal_ranks(ranks).mean())
    low, high = bootstrap_ci(hits)
    cells = [name, f"{100 * hits.mean():.1f} ({100 * low:.1f}–{100 * high:.1f})", f"{mrr:.3f}"]
    if name == WHOLE:
        return [*cells, "", ""]
    test = paired_test(hits_at(whole, 1), hits)
    moved, low, high = (f"{100 * part:+z.1f}" for part in (test.difference, test.low, test.high))
    return [*cells, f"{moved} ({low} to {high})", "<0.001" if test.p < 1e-3 else f"{test.p:.3f}"]


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--catalogue", type=Path, help="products for a dataset that lists none")
    parser.add_argument("--use", choices=MODALITIES, action="append", help="only this of clips")
    return parser.parse_args()


if __name__ == "__main__":
    main()
