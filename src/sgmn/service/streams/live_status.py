"""What a running session says about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from time import monotonic
from typing import Any

WARMING_S = 30.0  # a stream that has no window by then does not keep others waiting


@dataclass
class LiveStatus:
    """What a running session says about itself; only the damage is stored, at its end.

    Attributes:
        now: What is on sale, see `worker_recognition.describe_belief`.
        heartbeat: The newest heartbeat.
        heartbeat_s: When it came, by the monotonic clock.
        cpu: CPU time of the worker per second; None until it is measured.
        started_s: When its thread was started, by the monotonic clock.
        node: Node of its worker; "" while it has none.
        failed_node: Node on which its last worker ended unexpectedly.
        earlier_damage: The damage that workers which are gone have found.
    """

    now: dict[str, Any] | None = None
    heartbeat: dict[str, Any] = field(default_factory=dict)
    heartbeat_s: float | None = None
    cpu: float | None = None
    started_s: float = field(default_factory=monotonic)
    node: str = ""
    failed_node: str = ""
    earlier_damage: list[str] = field(default_factory=list)

    def note_heartbeat(self, content: dict[str, Any]) -> None:
        """Keep a heartbeat, and measure how much CPU time the worker takes."""
        now_s = monotonic()
        if self.heartbeat_s is not None and content["cpu_s"] >= self.heartbeat.get("cpu_s", 0):
            elapsed_s = max(1e-3, now_s - self.heartbeat_s)
            used = (content["cpu_s"] - self.heartbeat["cpu_s"]) / elapsed_s
            # A moving mean over about ten seconds.
            self.cpu = used if self.cpu is None else 0.9 * self.cpu + 0.1 * used
        self.heartbeat, self.heartbeat_s = content, now_s

    def note_end_of_worker(self) -> None:
        """Keep what the worker has found, and where it ran."""
        self.earlier_damage = self.damage
        self.heartbeat = {**self.heartbeat, "damage": []}
        self.failed_node, self.node = self.node, ""

    @property
    def damage(self) -> list[str]:
        """The faults that workers have found so far, each line once."""
        return list(dict.fromkeys([*self.earlier_damage, *self.heartbeat.get("damage", [])]))

    @property
    def is_warming(self) -> bool:
        """Whether its load is not known yet. A source that delivers nothing takes nothing."""
        is_young = monotonic() - self.started_s < WARMING_S
        return self.cpu is None or (self.now is None and is_young)
