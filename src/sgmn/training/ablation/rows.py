"""The rows of an ablation: which parts, score terms and mining each run has, or which baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sgmn.errors import SettingsError


@dataclass(frozen=True)
class Step:
    """One thing that a row may have and another may lack."""

    name: str
    parts: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()
    mining: bool = False


@dataclass(frozen=True)
class Row:
    """A run with some parts and score terms.

    Attributes:
        name: name in the table.
        parts: parts above the towers.
        terms: terms of the score besides the image term.
        mining: whether hard negatives are mined.
        reference: name of the row that it is compared with.
        baseline: name of the published method that replaces parts and losses, one of
            `baselines.trainer.BASELINES`; "" for rows of this project.
    """

    name: str
    parts: tuple[str, ...]
    terms: tuple[str, ...]
    mining: bool
    reference: str = ""
    baseline: str = ""

    @property
    def looks_twice(self) -> bool:
        """Whether the row takes second glances."""
        return "glance" in self.parts

    @property
    def slug(self) -> str:
        """The name as a folder name."""
        return "-".join(self.name.replace("+", "plus").replace("−", "without").split())

    def with_step(self, step: Step) -> Row:
        """Return this row with a step added."""
        return Row(
            f"+ {step.name}",
            self.parts + step.parts,
            self.terms + step.terms,
            self.mining or step.mining,
            self.name,
        )

    def without_step(self, step: Step) -> Row:
        """Return this row with a step left out."""
        return Row(
            f"− {step.name}",
            tuple(part for part in self.parts if part not in step.parts),
            tuple(term for term in self.terms if term not in step.terms),
            self.mining and not step.mining,
            self.name,
        )


STEPS = (
    Step("text score", terms=("text", "cross")),
    Step("text context", parts=("text_context",)),
    Step("text pooling", parts=("text_pooling",)),
    Step("guided attention", parts=("guidance",)),
    Step("clip graph", parts=("graph",)),
    Step("frame-level matching", terms=("match",)),
    Step("instance matching", parts=("instances",), terms=("instances",)),
    Step("instance interaction", parts=("interaction",)),
    Step("hard mining", mining=True),
    Step("fusion", parts=("fusion",)),
)
BASELINES = {
    "zero-shot backbone": "zero-shot",
    "RICE-style instance contrast": "instance contrast",
    "SEAM-style attention over frames": "temporal attention",
    "SGMN as published": "published",
}
# The second glance needs a source whose guidance has been trained, so it is no step of all sources.
SECOND_GLANCE = Row(
    "with a second glance",
    ("text_context", "text_pooling", "guidance", "graph", "instances", "glance"),
    ("match", "instances", "text", "cross", "glance", "late"),
    mining=False,
)


def all_rows() -> list[Row]:
    """Return rows with the steps added one by one, the full model without each, and baselines.

    The full model without its last step is the row before it and does not appear twice. Published
    methods are compared with the full model.
    """
    rows = [Row("backbone alone", (), (), False)]
    for step in STEPS:
        rows.append(rows[-1].with_step(step))
    full = rows[-1]
    rows += [full.without_step(step) for step in STEPS[:-1]]
    return rows + baseline_rows(full)


def baseline_rows(reference: Row) -> list[Row]:
    """Return published methods, which are compared with a row of this project."""
    return [
        Row(title, (), ("text",), False, reference.name, name) for title, name in BASELINES.items()
    ]


def comparison_rows() -> list[Row]:
    """Return what is compared with the model that looks twice, and that model.

    These are published methods, the full model, and the model that looks twice and mines.
    """
    full = next(row for row in all_rows() if row.name == f"+ {STEPS[-1].name}")
    return [
        *baseline_rows(SECOND_GLANCE),
        replace(full, reference=SECOND_GLANCE.name),
        replace(
            SECOND_GLANCE,
            name=f"{SECOND_GLANCE.name} and hard mining",
            mining=True,
            reference=SECOND_GLANCE.name,
        ),
        SECOND_GLANCE,
    ]


def select_rows(names: Sequence[str], rows: Sequence[Row] | None = None) -> list[Row]:
    """Return those of `rows` with some names, or all of them; `rows` is `all_rows()` if None.

    Raises SettingsError for an unknown name.
    """
    rows = all_rows() if rows is None else rows
    unknown = [name for name in names if name not in {row.name for row in rows}]
    if unknown:
        known = ", ".join(repr(row.name) for row in rows)
        raise SettingsError(f"no row is named {unknown[0]!r}", "--row", f"choose from {known}")
    return [row for row in rows if not names or row.name in names]
