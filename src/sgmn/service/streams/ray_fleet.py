"""Workers on the nodes of a Ray cluster (optional extra `ray`).

On each node that runs workers, one Ray actor starts them and the encoder that they share, as the
service itself does on one machine. Each message of a worker is the result of a call of its actor.
If a node dies, its pending calls fail, and its sessions are restarted on other nodes, from their
journals. See docs/decisions/026.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any

from sgmn.errors import SgmnError
from sgmn.scale.ray_connection import connect_ray, import_ray
from sgmn.service.streams.fleet import MAX_FAULT_PAUSE_S, Node, NodeUnavailable
from sgmn.service.streams.messages import ConnectionLost
from sgmn.service.streams.node_agent import MAX_WORKERS, NodeAgent
from sgmn.service.streams.ray_worker import (
    ANSWER_TIMEOUT_S,
    ActorCalls,
    ActorLost,
    ActorSilent,
    RayWorker,
)
from sgmn.service.streams.worker_config import WorkerConfig

POLL_S = 1.0
START_TIMEOUT_S = 90.0  # an actor imports Python packages first
# No new workers on a node for this long after its actor died or fell silent, and twice as long
# after each further time: Ray takes a while to declare a node dead.
QUARANTINE_S, MAX_QUARANTINE_S = 15.0, 480.0
# Streams wait this long before the autoscaler is asked for a node. Starting streams, which keep
# others waiting, are measured sooner, and each admission starts the time anew.
PATIENCE_S = 60.0
ACTOR_BYTES = 500 << 20  # reserved for an actor and its encoder; the node then counts as in use
_LOG = logging.getLogger("sgmn.service.sessions")


@dataclass
class _Agent:
    """The actor of a node, as the service sees it.

    Attributes:
        calls: Its methods.
        reference: Of the report that it was asked for; None if it has answered.
        asked_s: When it was asked, by the monotonic clock.
        node: What it reported last; None before its first answer.
    """

    calls: ActorCalls
    reference: Any = None
    asked_s: float = field(default_factory=monotonic)
    node: Node | None = None


class RayFleet:
    """The nodes of a Ray cluster.

    All nodes must run this version of sgmn, and see the data folder and the media at the same
    paths.

    Args:
        address: Of the cluster, see `ray_connection.connect_ray`; "" for its default.
        encoder_threads: Threads of each encoder process.
        runtime: Runtime of the image and text towers, see `ServiceSettings.runtime`.
    """

    def __init__(self, address: str, encoder_threads: int, runtime: str) -> None:
        self._address = address
        folder = Path(runtime)  # actors have another working directory
        self._arguments = encoder_threads, str(folder.absolute()) if folder.is_dir() else runtime
        self._ray: Any = None
        self._remote: Any = None
        self._lock, self._closed, self._connection = Lock(), Event(), ExitStack()
        self._numbers = count()
        self._agents: dict[str, _Agent] = {}
        self._nodes: dict[str, Node] = {}
        self._failures: dict[str, int] = {}  # of a node, since its actor last answered
        self._quarantined_until_s: dict[str, float] = {}
        self._cpus = 0  # of all nodes
        self._requested_cpus: int | None = None  # unknown: a request may have outlived its service
        self._waiting_since_s: float | None = None
        self._thread = Thread(target=self._poll, name="ray nodes", daemon=True)

    def start(self) -> None:
        """Connect to the cluster; raises SgmnError."""
        self._connection.enter_context(connect_ray(self._address or None))
        self._ray = import_ray()
        self._remote = self._ray.remote(NodeAgent)
        try:
            self._refresh_nodes()
        except self._ray.exceptions.RayError as error:
            raise SgmnError(f"the Ray cluster does not answer ({error})") from error
        self._thread.start()

    def nodes(self) -> Mapping[str, Node]:
        """Return the nodes that can run workers now, by their id in the cluster."""
        return self._nodes

    def start_worker(
        self, node: str, config: WorkerConfig, heartbeat_timeout_s: float
    ) -> RayWorker:
        """Start a worker on a node; see `fleet.Fleet`."""
        number = next(self._numbers)
        arguments = (_absolute(config).to_json(), heartbeat_timeout_s)
        try:
            agent = self._agent(node)
        except self._ray.exceptions.RayError as error:
            raise NodeUnavailable(f"{node}: {error}") from error
        try:
            pid = agent.calls("start_worker", number, *arguments, timeout_s=START_TIMEOUT_S)
        except (ActorLost, ActorSilent) as error:
            self._quarantine(node, agent, error)
            if isinstance(error, ActorSilent):
                RayWorker(agent.calls, number, 0, heartbeat_timeout_s).kill()
            raise NodeUnavailable(f"{node}: {error}") from error
        return RayWorker(agent.calls, number, pid, heartbeat_timeout_s)

    def ask_for_node(self, is_wanted: bool) -> None:
        """Note whether streams wait for another node; see `_request_node`."""
        if not is_wanted:
            self._waiting_since_s = None
        elif self._waiting_since_s is None:
            self._waiting_since_s = monotonic()

    def kill_workers(self) -> None:
        """Kill all actors, and with them the workers and encoders; calls of them fail at once."""
        self._closed.set()
        for node, agent in [*self._agents.items()]:
            self._forget(node, agent)

    def close(self) -> None:
        """Kill what still runs, withdraw the request for a node, and disconnect."""
        self.kill_workers()
        if self._thread.is_alive():
            self._thread.join()
        self._waiting_since_s = None
        if self._requested_cpus:
            self._request_node()
        self._connection.close()

    def _agent(self, node: str) -> _Agent:
        """The actor of a node, which is started if it is the first of this node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        with self._lock:
            if self._closed.is_set() or self._is_quarantined(node):
                raise NodeUnavailable(node)
            if node not in self._agents:
                remote = self._remote.options(
                    num_cpus=0,  # streams are placed by their measured load
                    memory=ACTOR_BYTES,
                    max_concurrency=MAX_WORKERS,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                calls = ActorCalls(self._ray, remote.remote(*self._arguments))
                self._agents[node] = _Agent(calls)
            return self._agents[node]

    def _is_quarantined(self, node: str) -> bool:
        return monotonic() < self._quarantined_until_s.get(node, 0.0)

    def _quarantine(self, node: str, agent: _Agent, error: Exception) -> None:
        """Start no more workers on a node for a while; forget its actor if that is gone."""
        with self._lock:
            if self._agents.get(node) is not agent:
                return  # another thread was first
            failures = self._failures[node] = self._failures.get(node, 0) + 1
            pause_s = min(QUARANTINE_S * 2 ** (failures - 1), MAX_QUARANTINE_S)
            self._quarantined_until_s[node] = monotonic() + pause_s
            self._nodes = {name: known for name, known in self._nodes.items() if name != node}
        _LOG.warning(f"no new streams on node {node} for {pause_s:.0f} s: {error}")
        if isinstance(error, ActorLost):
            self._forget(node, agent)

    def _forget(self, node: str, agent: _Agent) -> None:
        """Kill an actor; the next worker of its node gets a new one."""
        with self._lock:
            if self._agents.get(node) is agent:
                del self._agents[node]
        self._ray.kill(agent.calls.actor)

    def _poll(self) -> None:
        pause_s = POLL_S
        while not self._closed.wait(pause_s):
            try:
                self.look_at_cluster()
                pause_s = POLL_S
            except Exception:  # noqa: BLE001 - a fault here must not end it
                _LOG.exception("the nodes of the Ray cluster cannot be read")
                pause_s = min(2 * pause_s, MAX_FAULT_PAUSE_S)

    def look_at_cluster(self) -> None:
        """Note the nodes, and ask for another one if streams have waited for long."""
        self._refresh_nodes()
        self._request_node()

    def _refresh_nodes(self) -> None:
        """Note which nodes are alive, and what their encoders report."""
        rows = [row for row in self._ray.nodes() if row["Alive"]]
        cpus = {row["NodeID"]: int(row["Resources"].get("CPU", 0)) for row in rows}
        if sum(cpus.values()) != self._cpus and self._waiting_since_s is not None:
            self._waiting_since_s = monotonic()  # a new node may be enough
        self._cpus = sum(cpus.values())
        agents = dict(self._agents)
        self._ask(agents)
        found = {n: self._read_node(n, agents.get(n), c) for n, c in cpus.items() if c}
        for name in {*agents} - {*cpus}:
            _LOG.warning(f"node {name} is gone")
            self._forget(name, agents[name])
        with self._lock:
            self._nodes = {
                name: node
                for name, node in found.items()
                if node is not None and not self._is_quarantined(name)
            }

    def _request_node(self) -> None:
        """Ask Ray's autoscaler, if the cluster has one, for one more node than there are.

        The request lasts until it is replaced, even if this process ends. Without it, nodes without
        streams may be removed.
        """
        since_s = self._waiting_since_s
        is_late = since_s is not None and monotonic() - since_s >= PATIENCE_S
        cpus = self._cpus + 1 if is_late else 0
        if cpus == self._requested_cpus:
            return
        try:
            from ray.autoscaler.sdk import request_resources

            request_resources(num_cpus=cpus)
        except Exception:  # noqa: BLE001 - streams wait for a node that somebody else adds
            _LOG.exception("Ray's autoscaler cannot be asked for nodes; it is asked again")
        else:
            self._requested_cpus = cpus

    def _ask(self, agents: Mapping[str, _Agent]) -> None:
        """Ask each actor for a report unless it still owes one; give all a moment to answer."""
        for name, agent in agents.items():
            if agent.reference is None:
                try:
                    agent.reference, agent.asked_s = agent.calls.send("report"), monotonic()
                except ActorLost as error:
                    self._quarantine(name, agent, error)
        references = [agent.reference for agent in agents.values() if agent.reference is not None]
        if references:
            self._ray.wait(references, num_returns=len(references), timeout=POLL_S)

    def _read_node(self, name: str, agent: _Agent | None, cpus: int) -> Node | None:
        """What is known of a node; None if it takes no workers now."""
        if agent is None or agent.reference is None:
            return Node(cpus)
        try:
            report, restarts = agent.calls.result(agent.reference, timeout_s=0)
        except ActorSilent as error:
            is_late = monotonic() - agent.asked_s > ANSWER_TIMEOUT_S
            if agent.node is not None and is_late and not self._is_quarantined(name):
                self._quarantine(name, agent, error)
            return agent.node or Node(cpus)  # an actor takes seconds to start
        except ConnectionLost as error:
            self._quarantine(name, agent, error)
            return None
        agent.reference, agent.node = None, Node(cpus, report, restarts)
        self._failures.pop(name, None)
        return agent.node


def _absolute(config: WorkerConfig) -> WorkerConfig:
    """A configuration for a process with another working directory."""
    model = Path(config.transcript.model)
    transcript = config.transcript
    if model.is_dir():
        transcript = replace(transcript, model=str(model.absolute()))
    folder, shelf = config.folder.absolute(), config.shelf.absolute()
    return replace(config, folder=folder, shelf=shelf, transcript=transcript)
