"""Where workers run: on this machine, or on the nodes of a Ray cluster (`ray_fleet`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sgmn.service.streams.encoder_process import EncoderProcess
from sgmn.service.streams.messages import Message
from sgmn.service.streams.worker_config import WorkerConfig
from sgmn.service.streams.worker_process import WorkerProcess

THIS_MACHINE = "this machine"
MAX_FAULT_PAUSE_S = 10.0  # between looks at what has failed each time: it must not fill the log


class NodeUnavailable(Exception):  # noqa: N818 - an event rather than an error
    """No worker can be started on the node now, or there is no node."""


class Worker(Protocol):
    """A worker process on any node; see `worker_process.WorkerProcess`."""

    @property
    def pid(self) -> int:
        """Its process id on its node."""

    def receive(self) -> Message:
        """Wait for its next message; raises ConnectionLost or TimeoutError."""

    def stop(self) -> None:
        """Ask it to end its session."""

    def kill(self) -> int | None:
        """Kill it if it still runs, and return its exit status; None if that is unknown."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that runs workers.

    Attributes:
        cpus: Number of its CPUs.
        encoder: The newest report of its encoder process, see `EncoderProcess.load`.
        encoder_restarts: How often its encoder was started again.
    """

    cpus: int
    encoder: Mapping[str, Any] = field(default_factory=dict)
    encoder_restarts: int = 0


class Fleet(Protocol):
    """The machines that run workers."""

    def start(self) -> None:
        """Connect to the machines; raises SgmnError."""

    def nodes(self) -> Mapping[str, Node]:
        """Return the machines that can run workers now, by name."""

    def start_worker(self, node: str, config: WorkerConfig, heartbeat_timeout_s: float) -> Worker:
        """Start a worker.

        Raises:
            NodeUnavailable: The node is gone, or does not answer.
            SgmnError, OSError, ConnectionLost: The worker cannot be started.
        """

    def ask_for_node(self, is_wanted: bool) -> None:
        """Say whether streams wait for another machine, which a cluster may be able to add."""

    def kill_workers(self) -> None:
        """Kill the workers of other machines; those of this one are killed by their runners."""

    def close(self) -> None:
        """Kill the remaining workers and disconnect."""


class LocalFleet:
    """A fleet of this machine alone.

    Args:
        encoder: The encoder process of all workers.
        cpus: Number of CPUs.
    """

    def __init__(self, encoder: EncoderProcess, cpus: int) -> None:
        self._encoder, self._cpus = encoder, cpus

    def start(self) -> None:
        """Do nothing: the encoder starts with the first worker."""

    def nodes(self) -> Mapping[str, Node]:
        """Return this machine."""
        return {THIS_MACHINE: Node(self._cpus, self._encoder.load, self._encoder.restarts)}

    def start_worker(self, node: str, config: WorkerConfig, heartbeat_timeout_s: float) -> Worker:
        """Start a worker; see `WorkerProcess`."""
        self._encoder.start()
        return WorkerProcess(replace(config, encoder=self._encoder.socket), heartbeat_timeout_s)

    def ask_for_node(self, is_wanted: bool) -> None:
        """Do nothing: there is no other machine."""

    def kill_workers(self) -> None:
        """Do nothing: each worker belongs to its runner."""

    def close(self) -> None:
        """Do nothing: the encoder belongs to the supervisor."""
