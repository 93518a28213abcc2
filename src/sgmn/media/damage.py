"""Report what could not be read of a damaged source."""

from __future__ import annotations

import logging
from collections import Counter

_LOG = logging.getLogger("sgmn.media")


def report_damage(line: str, damage: list[str] | None) -> None:
    """Add a line to `damage`, or log it as a warning if there is no list."""
    if damage is None:
        _LOG.warning(line)
    else:
        damage.append(line)


def summarize_faults(faults: Counter[str]) -> str:
    """Join the descriptions of faults with their counts.

    >>> summarize_faults(Counter({"a frame is corrupt": 2, "a packet is incomplete": 1}))
    'a frame is corrupt (2 times), a packet is incomplete'
    """
    return ", ".join(
        f"{fault} ({count} times)" if count > 1 else fault for fault, count in faults.items()
    )
