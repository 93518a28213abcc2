"""Groups queries by their attributes, so that a report shows where a model is weak.

Every query is in exactly one group of each attribute. A query without the attribute is in the
group `(none)`; values beyond the maximum number of groups are in `(other)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgmn.jsonl import is_finite_number

MISSING_VALUE = "(none)"
OTHER_VALUES = "(other)"
MAX_GROUPS = 12  # groups of one attribute, so that the table stays readable


@dataclass(frozen=True, slots=True)
class AttributeGroup:
    """The queries, by index, whose `attribute` has this `value`."""

    attribute: str
    value: str
    members: tuple[int, ...]


def group_by_attributes(
    attributes: Sequence[Mapping[str, Any]], max_groups: int = MAX_GROUPS
) -> tuple[AttributeGroup, ...]:
    """Group queries by each attribute that any of them has, in order of first appearance.

    Up to `max_groups` values have a group each, numbers in ascending order and names in
    alphabetical order. More numbers are split into quarters of equal count ("0.1 to 0.4" includes
    its upper end only in the last group); of more names the most frequent have a group.

    >>> groups = group_by_attributes([{"scale": "small"}, {"scale": "large"}, {}])
    >>> [(group.value, group.members) for group in groups]
    [('large', (1,)), ('small', (0,)), ('(none)', (2,))]
    """
    names = dict.fromkeys(name for a in attributes for name in a)
    return tuple(g for name in names for g in _group_by(name, attributes, max_groups))


def _group_by(
    name: str, attributes: Sequence[Mapping[str, Any]], max_groups: int
) -> list[AttributeGroup]:
    values = {i: a[name] for i, a in enumerate(attributes) if name in a}
    numeric = all(is_finite_number(v) for v in values.values())
    if numeric and len(set(values.values())) > max_groups:
        labels = _label_quarters(values)
    elif numeric:
        labels = {i: f"{v:.12g}" for i, v in sorted(values.items(), key=lambda item: item[1])}
    else:
        labels = _label_names({i: str(v) for i, v in values.items()}, max_groups)
    labels |= {i: MISSING_VALUE for i in range(len(attributes)) if i not in values}
    members: dict[str, list[int]] = {}
    for index, label in labels.items():
        members.setdefault(label, []).append(index)
    return [
        AttributeGroup(name, label, tuple(sorted(indices))) for label, indices in members.items()
    ]


def _label_quarters(values: Mapping[int, float]) -> dict[int, str]:
    """The quarter of each value, ascending; equal values share one, so sizes may differ."""
    ordered = dict(sorted(((i, float(v)) for i, v in values.items()), key=lambda item: item[1]))
    edges = np.unique(np.quantile(list(ordered.values()), [0, 0.25, 0.5, 0.75, 1]))
    bins = np.searchsorted(edges, list(ordered.values()), side="right") - 1
    bins = np.minimum(bins, len(edges) - 2)  # the largest value belongs to the last group
    return {i: f"{edges[b]:g} to {edges[b + 1]:g}" for i, b in zip(ordered, bins, strict=True)}


def _label_names(values: Mapping[int, str], max_groups: int) -> dict[int, str]:
    counts = sorted(Counter(values.values()).items(), key=lambda item: (-item[1], item[0]))
    has_rest = len(counts) > max_groups
    frequent = {name for name, _ in (counts[: max_groups - 1] if has_rest else counts)}
    labels = {i: v if v in frequent else OTHER_VALUES for i, v in values.items()}
    return dict(sorted(labels.items(), key=lambda item: (item[1] == OTHER_VALUES, item[1])))
