"""Rank clips with parts and terms of a trained model left out: what each contributes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from sgmn.evaluation.metrics import Ranks, hits_at, reciprocal_ranks
from sgmn.evaluation.robustness_report import difference_cells
from sgmn.evaluation.significance import bootstrap_ci, paired_test
from sgmn.evaluation.tables import markdown_table
from sgmn.model.bundle import ModelBundle
from sgmn.model.calibration import calibrated_network
from sgmn.model.network import SGMN
from sgmn.model.scoring import MODALITIES
from sgmn.records import Clip, Product
from sgmn.training.data.token_cache import TokenCache, hash_towers
from sgmn.training.validation import Validation

COMPLETE = "complete model"
UNGUIDED = "without guidance (glances at arbitrary whole frames)"
# Parts and terms of the spatiotemporal graph: interaction of instances, matching of frames.
SPATIOTEMPORAL_GRAPH = {"graph": "graph", "instances": "instances", "match": "matching"}
HEADER = ["model", "R@1", "MRR", "R@1 against complete", "p"]
Progress = Callable[[int, int], None]  # items encoded so far, of how many


@dataclass(frozen=True, slots=True)
class LeaveOutResult:
    """The ranks of all clips for each variant of the model, and what could not be read."""

    ranks: Mapping[str, Ranks]
    damage: tuple[str, ...]

    def markdown(self) -> str:
        """R@1 and MRR of each variant, with a paired test against the complete model."""
        complete = self.ranks[COMPLETE]
        rows = [_cells(name, ranks, complete) for name, ranks in self.ranks.items()]
        return markdown_table(HEADER, rows)


def leave_out(
    model: ModelBundle,
    clips: Sequence[Clip],
    products: Sequence[Product],
    modalities: Collection[str] = MODALITIES,
    progress: Progress = lambda done, total: None,
) -> LeaveOutResult:
    """Rank clips with the complete model, and with each of its parts and terms left out.

    Nothing is trained again: what the other parts have learned to leave to the missing one is
    missing too. `sgmn ablate` trains each row instead. Guidance is left out twice if it directs
    second glances: with the glances of the complete model, and with those that are taken without
    it. The latter are encoded again, so progress starts anew.
    """
    network = calibrated_network(model)
    with TemporaryDirectory() as folder:

        def rank(encoder: ModelBundle, networks: Iterable[tuple[str, SGMN]]) -> list[str]:
            cache = TokenCache(Path(folder), hash_towers(encoder))
            validation = Validation.create(clips, products, encoder, cache)
            damage = validation.fill(progress)
            for name, variant in networks:
                answers = validation.rank_clips(variant, modalities)
                ranks[name] = [answer.rank for answer in answers]
            return damage

        ranks: dict[str, Ranks] = {}
        damage = rank(model, variants(network))
        if {"guidance", "glance"} <= {*network.config.parts.enabled}:
            unguided = without(network, parts=("guidance",))
            rank(replace(model, network=unguided), [(UNGUIDED, unguided)])
    return LeaveOutResult(ranks, tuple(damage))


def variants(network: SGMN) -> Iterator[tuple[str, SGMN]]:
    """The network, and copies without each of its parts and terms; all share the towers.

    Their second glances are those of the complete model, where its guidance looks.
    """
    parts, terms = network.config.parts.enabled, network.config.terms
    yield COMPLETE, network
    yield "towers alone", without(network, parts=parts, terms=terms)
    for part in parts:
        stays = " (the glances stay)" if part == "guidance" and "glance" in parts else ""
        yield f"without {part}{stays}", without(network, parts=(part,))
    together = [name for name in SPATIOTEMPORAL_GRAPH if name in {*parts, *terms}]
    if "graph" in together and len(together) > 1:
        names = " and ".join(SPATIOTEMPORAL_GRAPH[name] for name in together)
        yield f"without {names} together", without(network, together, together)
    for term in terms:
        if term not in parts and bool(getattr(network.head(), term) > 0):
            yield f"without the term {term}", without(network, terms=(term,))
    if network.config.text_score_floor > -1:
        changed = without(network)
        changed.head.text_score_floor.fill_(-1.0)
        yield "without the text score floor", changed


def without(network: SGMN, parts: Collection[str] = (), terms: Collection[str] = ()) -> SGMN:
    """A copy of the network without some parts and terms."""
    config = network.config
    other_parts = tuple(part for part in config.parts.enabled if part not in parts)
    other_terms = tuple(term for term in config.terms if term not in terms)
    return network.with_parts(replace(config.parts, enabled=other_parts), other_terms).eval()


def _cells(name: str, ranks: Ranks, complete: Ranks) -> list[str]:
    hits, mrr = hits_at(ranks, 1), float(reciprocal_ranks(ranks).mean())
    low, high = bootstrap_ci(hits)
    cells = [name, f"{100 * hits.mean():.1f} ({100 * low:.1f}–{100 * high:.1f})", f"{mrr:.3f}"]
    if name == COMPLETE:
        return [*cells, "", ""]
    return [*cells, *difference_cells(paired_test(hits_at(complete, 1), hits))]
