"""Runs jobs on a Ray cluster (optional extra `ray`).

Each item is a Ray task. If its worker or node fails, Ray runs the task again elsewhere; pending
tasks are what a cluster with autoscaling grows by.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from sgmn.errors import SgmnError
from sgmn.memory import retain_freed_memory
from sgmn.scale.engine import Item, Job, Result

_LOG = logging.getLogger("sgmn.scale")
RETRIES = 4  # of an item whose worker or node fails
RUNNING_PER_CPU, UNREAD_PER_CPU = 2, 16  # items; the latter bounds the memory of finished ones
PATIENCE_S = 60.0  # without any progress, before a warning


class RayEngine:
    """Runs jobs on the Ray cluster that this process is connected to; see `connect_ray`.

    Every node needs this version of sgmn, and files must have the same paths on all nodes.

    Args:
        ray: The module `ray`, connected.
        retries: How often an item is repeated if its worker or node fails.
    """

    def __init__(self, ray: Any, retries: int = RETRIES) -> None:
        self._ray, self._retries = ray, retries
        remote = ray.remote(num_cpus=1, max_retries=retries)
        self._run_item = remote(run_item)

    def map(self, job: Job[Item, Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the result for each item, in order.

        Raises:
            SgmnError: Raised by the job, or the worker of an item failed again and again.
        """
        unread: deque[Any] = deque()  # in the order of the items
        running: list[Any] = []
        remaining = iter(items)
        while True:
            for item in self._take(remaining, running, unread):
                task = self._run_item.remote(job, item)
                unread.append(task)
                running.append(task)
            if not unread:
                return
            if unread[0] in running:
                running = self._wait(running)
            else:
                yield self._get(unread.popleft())

    def _take(
        self, items: Iterator[Item], running: list[Any], unread: deque[Any]
    ) -> Iterator[Item]:
        """The items that the cluster has room for; it may have grown or shrunk since."""
        cpus = max(1, self.count_cpus())
        while len(running) < RUNNING_PER_CPU * cpus and len(unread) < UNREAD_PER_CPU * cpus:
            try:
                yield next(items)
            except StopIteration:
                return

    def _wait(self, running: list[Any]) -> list[Any]:
        """Wait until one of the tasks has finished, and return the others."""
        finished, others = self._ray.wait(running, num_returns=1, timeout=PATIENCE_S)
        if not finished:
            _LOG.warning(
                f"no batch has finished for {PATIENCE_S:.0f} s: {len(running)} wait for a "
                f"cluster of {self.count_cpus()} CPUs"
            )
        return list(others)

    def _get(self, task: Any) -> Any:
        errors = self._ray.exceptions
        try:
            return self._ray.get(task)
        except errors.RayTaskError as error:
            if isinstance(error.cause, SgmnError):
                raise error.cause from None
            raise
        except errors.RayError as error:  # the worker or the node failed each time
            reason = str(error).strip().splitlines()[0]
            message = f"failed {self._retries + 1} times on the same batch ({reason})"
            remedy = "look at the memory of the nodes; what is written stays, so start again"
            raise SgmnError(message, "Ray", remedy) from error

    def count_cpus(self) -> int:
        """The number of CPUs of the cluster."""
        return int(self._ray.cluster_resources().get("CPU", 0))


def run_item(job: Job[Any, Any], item: Any) -> Any:
    """Process an item in a worker, with what the job has loaded there before."""
    return _open(job)(item)


@lru_cache(maxsize=1)
def _open(job: Job[Any, Any]) -> Callable[[Any], Any]:
    retain_freed_memory()
    return job.open()
