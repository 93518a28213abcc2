"""Runs jobs in several processes of this machine."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context

from sgmn.background import exit_with_parent
from sgmn.errors import SgmnError
from sgmn.scale.engine import Item, Job, Result
from sgmn.scale.ray_engine import run_item

LOOKAHEAD = 3  # items per process that are being processed or wait to be read


class ProcessEngine:
    """Runs jobs in processes with one thread each.

    Args:
        processes: How many processes. Each one loads what the job needs, such as a model.
    """

    def __init__(self, processes: int) -> None:
        self.processes = processes

    def map(self, job: Job[Item, Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the result for each item, in order; items are read as they are needed.

        Raises SgmnError if a process ends unexpectedly.
        """
        unread: deque[Future[Result]] = deque()
        context = get_context("spawn")
        with ProcessPoolExecutor(self.processes, context, _prepare) as pool:
            try:
                for item in items:
                    unread.append(pool.submit(run_item, job, item))
                    if len(unread) == LOOKAHEAD * self.processes:
                        yield unread.popleft().result()
                while unread:
                    yield unread.popleft().result()
            except BrokenProcessPool as error:
                remedy = "pass fewer --processes if memory is short, then run the command again"
                raise SgmnError("ended unexpectedly", "a worker process", remedy) from error
            finally:  # after an error or Ctrl+C, no other item begins
                pool.shutdown(wait=False, cancel_futures=True)


def _prepare() -> None:
    """Set up a new process; PyTorch, which the job imports, reads the number of threads."""
    exit_with_parent()
    os.environ["OMP_NUM_THREADS"] = "1"
