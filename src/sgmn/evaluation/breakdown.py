"""Groups of queries by their attributes, so that a report can say where a model is weak.

Every query is in exactly one group of every attribute: one that lacks the attribute is in
the group `(none)`, rare values beyond a limit are in `(other)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sgmn.jsonl import is_number

ABSENT = "(none)"
OTHER = "(other)"
LIMIT = 12  # groups of one attribute; more make a table that nobody reads


@dataclass(frozen=True, slots=True)
class Group:
    """The queries (by place) whose `attribute` has this `value`."""

    attribute: str
    value: str
    members: tuple[int, ...]


def groups(attributes: Sequence[Mapping[str, Any]], limit: int = LIMIT) -> tuple[Group, ...]:
    """Group queries by each attribute that any of them has, in order of first appearance.

    Up to `limit` values each have a group, numbers in ascending order and names in
    alphabetical order. More numbers than that are cut into quarters of equal count
    ("0.1 to 0.4": from the first up to, and only in the last group including, the second);
    of more names the most frequent are kept.

    >>> [(g.value, g.members) for g in groups([{"scale": "small"}, {"scale": "large"}, {}])]
    [('large', (1,)), ('small', (0,)), ('(none)', (2,))]
    """
    names = dict.fromkeys(name for a in attributes for name in a)
    return tuple(g for name in names for g in _grouped(name, attributes, limit))


def _grouped(name: str, attributes: Sequence[Mapping[str, Any]], limit: int) -> list[Group]:
    values = {i: a[name] for i, a in enumerate(attributes) if name in a}
    numeric = all(is_number(v) for v in values.values())
    if numeric and len(set(values.values())) > limit:
        labels = _quarters(values)
    elif numeric:
        labels = {i: f"{v:.12g}" for i, v in sorted(values.items(), key=lambda item: item[1])}
    else:
        labels = _names({i: str(v) for i, v in values.items()}, limit)
    labels |= {i: ABSENT for i in range(len(attributes)) if i not in values}
    members: dict[str, list[int]] = {}
    for place, label in labels.items():
        members.setdefault(label, []).append(place)
    return [Group(name, label, tuple(sorted(places))) for label, places in members.items()]


def _quarters(values: Mapping[int, float]) -> dict[int, str]:
    """Each place's quarter, ascending; equal values stay together, so sizes may differ."""
    ordered = dict(sorted(((i, float(v)) for i, v in values.items()), key=lambda item: item[1]))
    edges = np.unique(np.quantile(list(ordered.values()), [0, 0.25, 0.5, 0.75, 1]))
    bins = np.searchsorted(edges, list(ordered.values()), side="right") - 1
    bins = np.minimum(bins, len(edges) - 2)  # the largest value belongs to the last group
    return {i: f"{edges[b]:g} to {edges[b + 1]:g}" for i, b in zip(ordered, bins, strict=True)}


def _names(values: Mapping[int, str], limit: int) -> dict[int, str]:
    counts = sorted(Counter(values.values()).items(), key=lambda item: (-item[1], item[0]))
    kept = {name for name, _ in (counts if len(counts) <= limit else counts[: limit - 1])}
    labels = {i: v if v in kept else OTHER for i, v in values.items()}
    return dict(sorted(labels.items(), key=lambda item: (item[1] == OTHER, item[1])))
