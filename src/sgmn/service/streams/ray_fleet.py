"""Workers on the nodes of a Ray cluster (optional extra `ray`).

On each node that runs workers, one Ray actor starts them and the encoder that they share, as the
service itself does on one machine. Every message of a worker is the result of a call of its actor.
If a node dies, so do these calls, and the sessions start again elsewhere, from their journals.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import count
from threading import Event, Lock, Thread
from time import monotonic
from typing import Any, TypeVar

from sgmn.errors import SgmnError
from sgmn.scale.ray_connection import connect_ray, import_ray
from sgmn.service.streams.encoder_process import EncoderProcess
from sgmn.service.streams.fleet import Node, NodeLost
from sgmn.service.streams.messages import ConnectionLost, Message
from sgmn.service.streams.worker_config import WorkerConfig
from sgmn.service.streams.worker_process import WorkerProcess

POLL_S = 1.0
START_TIMEOUT_S = 90.0  # an actor imports Python packages first
REPORT_TIMEOUT_S = 20.0
SUSPECT_S = 15.0  # without new workers after its actor has died: Ray takes as long to notice
MAX_WORKERS = 1000  # of a node; each one takes a thread there
ENCODER_BYTES = 500 << 20  # what Ray reserves for an actor and its encoder; it also means: in use
_LOG = logging.getLogger("sgmn.service.sessions")
_Result = TypeVar("_Result")


class NodeAgent:
    """Runs workers and their encoder on its node; a Ray actor.

    When the actor ends, its connections close, and its workers and the encoder exit.

    Args:
        encoder_threads: See `EncoderProcess`.
        runtime: See `EncoderProcess`.
    """

    def __init__(self, encoder_threads: int, runtime: str) -> None:
        self._encoder = EncoderProcess(encoder_threads, runtime)
        self._encoder.start()
        self._workers: dict[int, WorkerProcess] = {}
        self._numbers = count()
        self._threads = ThreadPoolExecutor(2 * MAX_WORKERS)  # a thread exists once it is needed

    async def report(self) -> tuple[dict[str, Any], int]:
        """Return the newest report of the encoder, and how often it was started again."""
        return self._encoder.load, self._encoder.restarts

    async def start_worker(
        self, config: dict[str, Any], heartbeat_timeout_s: float
    ) -> tuple[int, int]:
        """Start a worker, and return its number and process id."""
        number = next(self._numbers)
        here = replace(WorkerConfig.from_json(config), encoder=self._encoder.socket)
        worker = await self._in_thread(lambda: WorkerProcess(here, heartbeat_timeout_s))
        self._workers[number] = worker
        return number, worker.pid

    async def receive(self, number: int) -> Message:
        """Wait for the next message of a worker; see `WorkerProcess.receive`."""
        worker = self._workers.get(number)
        if worker is None:
            raise ConnectionLost("it was killed")
        return await self._in_thread(worker.receive)

    async def stop(self, number: int) -> None:
        """Ask a worker to end its session."""
        worker = self._workers.get(number)
        if worker is not None:
            await self._in_thread(worker.stop)

    async def kill(self, number: int) -> int | None:
        """Kill a worker and forget it; see `WorkerProcess.kill`."""
        worker = self._workers.pop(number, None)
        return None if worker is None else await self._in_thread(worker.kill)

    async def _in_thread(self, action: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, action)


@dataclass
class RayWorker:
    """A worker on a node of a Ray cluster.

    Attributes:
        pid: Its process id on its node.
    """

    _calls: ActorCalls
    _number: int
    pid: int
    _heartbeat_timeout_s: float

    def receive(self) -> Message:
        """Wait for its next message.

        Raises:
            ConnectionLost: It has exited, or its node is gone.
            TimeoutError: It hangs, or its node does not answer.
        """
        # The actor knows the worker better, and answers a little later than the worker is due.
        timeout_s = self._heartbeat_timeout_s + REPORT_TIMEOUT_S
        message: Message = self._calls("receive", self._number, timeout_s=timeout_s)
        return message

    def stop(self) -> None:
        """Ask it to end its session, without waiting for an answer."""
        self._calls.send("stop", self._number)

    def kill(self) -> int | None:
        """Kill it if it still runs, and return its exit status; None if that is unknown."""
        try:
            status: int | None = self._calls("kill", self._number, timeout_s=START_TIMEOUT_S)
        except (ConnectionLost, TimeoutError):
            return None  # a worker that is cut off from its service exits
        return status


@dataclass(frozen=True)
class ActorCalls:
    """Calls the methods of an actor by name, with the exceptions of this package."""

    ray: Any
    actor: Any

    def __call__(self, name: str, *arguments: Any, timeout_s: float) -> Any:
        """Call a method and return its result.

        Raises:
            ConnectionLost: The actor, or its node, is gone.
            TimeoutError: It has not answered in time.
            Exception: What the method has raised.
        """
        errors = self.ray.exceptions
        try:
            return self.ray.get(self.send(name, *arguments), timeout=timeout_s)
        except errors.GetTimeoutError as error:
            raise TimeoutError(f"its node has not answered for {timeout_s:.0f} s") from error
        except errors.RayTaskError as error:
            raise error.cause from None
        except errors.RayError as error:
            raise ConnectionLost("its node is gone") from error

    def send(self, name: str, *arguments: Any) -> Any:
        """Call a method without waiting for its result."""
        return getattr(self.actor, name).remote(*arguments)


class RayFleet:
    """The nodes of a Ray cluster.

    Data folder and media have the same paths on all nodes, which have this version of sgmn.

    Args:
        address: Of the cluster, see `ray_connection.connect_ray`; "" for its default.
        encoder_threads: Threads of each encoder process.
        runtime: What runs the towers of models, see `ServiceSettings.runtime`.
    """

    def __init__(self, address: str, encoder_threads: int, runtime: str) -> None:
        self._address, self._arguments = address, (encoder_threads, runtime)
        self._ray: Any = None
        self._lock, self._closed, self._connection = Lock(), Event(), ExitStack()
        self._agents: dict[str, ActorCalls] = {}
        self._nodes: dict[str, Node] = {}
        self._lost_s: dict[str, float] = {}  # when the actor of a node died, by its id
        self._thread = Thread(target=self._watch, name="ray nodes", daemon=True)

    def start(self) -> None:
        """Connect to the cluster; raises SgmnError."""
        self._connection.enter_context(connect_ray(self._address or None))
        self._ray = import_ray()
        self._look()
        self._thread.start()

    def nodes(self) -> Mapping[str, Node]:
        """Return the nodes that can run workers now, by their id in the cluster."""
        return self._nodes

    def start_worker(
        self, node: str, config: WorkerConfig, heartbeat_timeout_s: float
    ) -> RayWorker:
        """Start a worker on a node; see `fleet.Fleet`."""
        # The actor has a working directory of its own.
        config = replace(config, folder=config.folder.absolute(), shelf=config.shelf.absolute())
        arguments = config.to_json(), heartbeat_timeout_s
        try:
            calls = self._agent(node)
            number, pid = calls("start_worker", *arguments, timeout_s=START_TIMEOUT_S)
        except (ConnectionLost, TimeoutError) as error:
            self._suspect(node)
            raise NodeLost(f"{node}: {error}") from error
        return RayWorker(calls, number, pid, heartbeat_timeout_s)

    def close(self) -> None:
        """Kill the actors, and with them the workers and encoders; disconnect."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        for node in [*self._agents]:
            self._forget(node)
        self._connection.close()

    def _agent(self, node: str) -> ActorCalls:
        """The actor of a node, which is started if it is the first of this node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        with self._lock:
            if node not in self._agents:
                remote = self._ray.remote(NodeAgent).options(
                    num_cpus=0,  # streams are placed by their measured load
                    memory=ENCODER_BYTES,
                    max_concurrency=2 * MAX_WORKERS,
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
                )
                self._agents[node] = ActorCalls(self._ray, remote.remote(*self._arguments))
            return self._agents[node]

    def _suspect(self, node: str) -> None:
        """Leave a node alone for a while, because its actor is gone."""
        self._lost_s[node] = monotonic()
        self._nodes = {name: found for name, found in self._nodes.items() if name != node}
        self._forget(node)

    def _forget(self, node: str) -> None:
        """Kill the actor of a node; the next worker there gets a new one."""
        with self._lock:
            calls = self._agents.pop(node, None)
        if calls is not None:
            self._ray.kill(calls.actor)

    def _watch(self) -> None:
        while not self._closed.wait(POLL_S):
            try:
                self._look()
            except (SgmnError, self._ray.exceptions.RayError) as error:
                _LOG.error(f"the Ray cluster does not answer ({error})")

    def _look(self) -> None:
        """Note which nodes are alive, and what their encoders report."""
        rows = [row for row in self._ray.nodes() if row["Alive"]]
        cpus = {row["NodeID"]: int(row["Resources"].get("CPU", 0)) for row in rows}
        now_s = monotonic()
        found = {
            name: self._measure(name, count)
            for name, count in cpus.items()
            if count and now_s - self._lost_s.get(name, -SUSPECT_S) >= SUSPECT_S
        }
        for name in {*self._agents} - {*cpus}:
            _LOG.warning(f"node {name} is gone")
            self._forget(name)
        self._nodes = {name: node for name, node in found.items() if node is not None}

    def _measure(self, name: str, cpus: int) -> Node | None:
        calls = self._agents.get(name)
        if calls is None:
            return Node(cpus)
        try:
            report, restarts = calls("report", timeout_s=REPORT_TIMEOUT_S)
        except TimeoutError:
            return Node(cpus)  # the actor is still starting
        except ConnectionLost:
            self._suspect(name)
            return None
        return Node(cpus, report, restarts)
