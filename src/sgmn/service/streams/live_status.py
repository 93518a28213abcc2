"""What a running session says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

WARMING_S = 30.0  # a stream that has no window by then does not keep others waiting


@dataclass
class LiveStatus:
    """What a running session says about itself; nothing of it is stored.

    Attributes:
        now: What is on sale, see `worker_recognition.describe_belief`.
        heartbeat: The newest heartbeat.
        heartbeat_s: When it came, by the monotonic clock.
        cpu: CPU time of the worker per second; None until it is measured.
        started_s: When its thread was started, by the monotonic clock.
        node: Node of its worker; "" while it has none.
        failed_node: Node on which its last worker ended unexpectedly.
    """

    now: dict[str, Any] | None = None
    heartbeat: dict[str, Any] = field(default_factory=dict)
    heartbeat_s: float | None = None
    cpu: float | None = None
    started_s: float = field(default_factory=monotonic)
    node: str = ""
    failed_node: str = ""

    @property
    def is_warming(self) -> bool:
        """Whether its load is not known yet. A source that delivers nothing takes nothing."""
        is_young = monotonic() - self.started_s < WARMING_S
        return self.cpu is None or (self.now is None and is_young)
