"""What each part is worth: the same run with parts added one by one, and left out one by one.

All rows of a seed see equal steps and data. A row that is done is not run again.

    OUT/tokens/                the token cache, shared by all rows
    OUT/runs/ROW/SEED/         a run each, with its checkpoint
    OUT/runs/ROW/SEED/ranks.json   {dataset: {clip: rank, or null for a miss}}
    OUT/table.json, table.md
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import nan
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sgmn.errors import SettingsError
from sgmn.evaluation.metrics import hits_at, reciprocal_ranks
from sgmn.evaluation.significance import bootstrap_ci, paired_test
from sgmn.evaluation.tables import markdown_table
from sgmn.training.config import RunConfig
from sgmn.training.data.cached_batches import CachedBatches
from sgmn.training.data.examples import Examples
from sgmn.training.run_setup import starting_model
from sgmn.training.trainer import Progress, Trainer
from sgmn.training.validation import Validation

Values = NDArray[np.float64]
Ranks = dict[str, dict[str, int | None]]  # of each dataset's clips


@dataclass(frozen=True)
class Row:
    """A run with some parts and terms; `reference` is the row that it is compared with."""

    name: str
    parts: tuple[str, ...]
    terms: tuple[str, ...]
    mining: bool
    reference: str = ""

    @property
    def slug(self) -> str:
        """The name as a folder's."""
        return "-".join(self.name.replace("+", "plus").replace("−", "without").split())

    def grown(self, step: Step) -> Row:
        """This row with one thing more."""
        return Row(
            f"+ {step.name}",
            self.parts + step.parts,
            self.terms + step.terms,
            self.mining or step.mining,
            self.name,
        )

    def without(self, step: Step) -> Row:
        """This row with one thing less."""
        return Row(
            f"− {step.name}",
            tuple(part for part in self.parts if part not in step.parts),
            tuple(term for term in self.terms if term not in step.terms),
            self.mining and not step.mining,
            self.name,
        )


@dataclass(frozen=True)
class Step:
    """One thing that a row may have more than another."""

    name: str
    parts: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    mining: bool = False


STEPS = (
    Step("text score", terms=("text", "cross")),
    Step("reading", parts=("reading",)),
    Step("emphasis", parts=("emphasis",)),
    Step("guided attention", parts=("guidance",)),
    Step("clip graph", parts=("graph",)),
    Step("frame-level matching", terms=("match",)),
    Step("instance matching", parts=("instances",), terms=("instances",)),
    Step("instance interaction", parts=("interaction",)),
    Step("hard mining", mining=True),
    Step("fusion", parts=("fusion",)),
)


def rows() -> list[Row]:
    """Parts added one by one, up to the full model; then the full model without each.

    The full model without its last step is the row before it, and does not come twice.
    """
    found = [Row("backbone alone", (), (), False)]
    for step in STEPS:
        found.append(found[-1].grown(step))
    return found + [found[-1].without(step) for step in STEPS[:-1]]


def chosen(names: Sequence[str]) -> list[Row]:
    """The rows of some names; all for none. Raises SettingsError for a name that there is not."""
    every = rows()
    unknown = [name for name in names if name not in {row.name for row in every}]
    if unknown:
        known = ", ".join(repr(row.name) for row in every)
        raise SettingsError(f"{unknown[0]!r} is no row", "--only", f"take some of {known}")
    return [row for row in every if not names or row.name in names]


@dataclass(frozen=True)
class Ablation:
    """The rows of a config over some seeds, evaluated on some datasets by name."""

    config: RunConfig
    examples: Examples
    validations: Mapping[str, Validation]
    out: Path

    def run(self, row: Row, seed: int, report: Callable[[Progress], None]) -> Ranks | None:
        """The ranks of a row, trained or going on if need be; None when it was stopped."""
        folder = self.out / "runs" / row.slug / str(seed)
        path = folder / "ranks.json"
        if path.exists():
            held: Ranks = json.loads(path.read_text(encoding="utf-8"))
            return held
        trainer = self._trainer(row, seed, folder)
        trainer.resume()
        if not trainer.run(report):
            return None
        ranks: Ranks = {
            name: {one.clip_id: one.rank for one in validation.ranked(trainer.learnt)}
            for name, validation in self.validations.items()
        }
        path.write_text(json.dumps(ranks) + "\n", encoding="utf-8")
        return ranks

    def _trainer(self, row: Row, seed: int, folder: Path) -> Trainer:
        model = replace(
            self.config.model, parts=row.parts, terms=row.terms, freeze="towers", learn=()
        )
        train = replace(self.config.train, seed=seed)
        started = starting_model(model, seed)
        cache = self.out / "tokens"
        batches = CachedBatches(self.examples, started, self.config.data, train, cache)
        loss = replace(self.config.loss, mining=row.mining)
        return Trainer(started, batches, train, folder, loss)


@dataclass(frozen=True)
class Line:
    """What a row came to on one dataset; figures in percent, of the mean over the seeds."""

    row: str
    dataset: str
    seeds: int
    clips: int
    recall: float
    low: float
    high: float
    mrr: float
    reference: str = ""
    gain: float = nan
    gain_low: float = nan
    gain_high: float = nan
    p: float = nan


def lines(found: Mapping[str, Sequence[Ranks]], every: Sequence[Row]) -> list[Line]:
    """A line for each row that is done and each dataset; `found` are a row's seeds.

    A clip's value is its mean over the seeds; intervals and tests are over clips, paired.
    """
    return [
        _line(row, dataset, found)
        for row in every
        if row.name in found
        for dataset in found[row.name][0]
    ]


def _line(row: Row, dataset: str, found: Mapping[str, Sequence[Ranks]]) -> Line:
    own = _values(found[row.name], dataset, first_hits)
    low, high = bootstrap_ci(own)
    line = Line(
        row.name,
        dataset,
        len(found[row.name]),
        len(own),
        100 * float(own.mean()),
        100 * low,
        100 * high,
        float(_values(found[row.name], dataset, reciprocal_ranks).mean()),
    )
    if row.reference not in found:
        return line
    test = paired_test(_values(found[row.reference], dataset, first_hits), own)
    return replace(
        line,
        reference=row.reference,
        gain=100 * test.difference,
        gain_low=100 * test.low,
        gain_high=100 * test.high,
        p=test.p,
    )


def first_hits(ranks: Sequence[int | None]) -> Values:
    """(clips,) 1 where the best product is the truth."""
    return hits_at(ranks, 1)


def _values(
    seeds: Sequence[Ranks], dataset: str, measure: Callable[[Sequence[int | None]], Values]
) -> Values:
    """(clips,) the mean of a measure over the seeds."""
    rows_of = [measure(list(ranks[dataset].values())) for ranks in seeds]
    return np.asarray(np.mean(rows_of, axis=0), np.float64)


def write(found: Sequence[Line], out: Path) -> None:
    """Write table.json and table.md."""
    known = [{k: v for k, v in asdict(line).items() if v == v} for line in found]  # no NaN
    (out / "table.json").write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    (out / "table.md").write_text(markdown(found), encoding="utf-8")


def markdown(found: Sequence[Line]) -> str:
    """The lines as tables, one a dataset."""
    header = ["row", "R@1", "MRR", "against", "R@1 gained", "p"]
    text = []
    for dataset in dict.fromkeys(line.dataset for line in found):
        own = [line for line in found if line.dataset == dataset]
        title = f"{dataset}: {own[0].clips} clips, {max(line.seeds for line in own)} seeds"
        text.append(f"{title}\n\n{markdown_table(header, [_cells(line) for line in own])}\n")
    return "\n".join(text)


def _cells(line: Line) -> list[str]:
    recall = f"{line.recall:.1f} ({line.low:.1f}–{line.high:.1f})"
    if not line.reference:
        return [line.row, recall, f"{line.mrr:.3f}", "", "", ""]
    gain = f"{line.gain:+.1f} ({line.gain_low:+.1f} to {line.gain_high:+.1f})"
    p = "<0.001" if line.p < 0.001 else f"{line.p:.3f}"
    return [line.row, recall, f"{line.mrr:.3f}", line.reference, gain, p]
