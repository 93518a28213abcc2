"""Background work: lookahead on a thread, and tasks in processes."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import get_context, parent_process
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def prefetch(items: Iterator[_Item], ahead: int = 1) -> Generator[_Item]:
    """Yield the same items, producing them on a background thread while the last one is in use.

    At most `ahead` items are prefetched, so one more than that are in memory at a time.
    """
    assert ahead >= 1
    end = object()
    worker = ThreadPoolExecutor(1, thread_name_prefix="sgmn-prefetch")
    try:
        futures = deque(worker.submit(next, items, end) for _ in range(ahead))
        while (item := futures.popleft().result()) is not end:
            futures.append(worker.submit(next, items, end))
            yield item  # type: ignore[misc]  # not `end`, so it is an item
    finally:
        worker.shutdown(cancel_futures=True)


def map_in_background(
    function: Callable[[_Item], _Result], items: Iterator[_Item]
) -> Iterator[_Result]:
    """Yield `function(item)` for each item, computed on a thread while the next item is produced.

    One call runs at a time: each result is yielded before the next call starts.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sgmn-background") as worker:
        future: Future[_Result] | None = None
        for item in items:
            if future is not None:
                yield future.result()
            future = worker.submit(function, item)
        if future is not None:
            yield future.result()


def run_tasks(
    function: Callable[[_Item], _Result], tasks: Sequence[_Item], processes: int
) -> Iterator[tuple[_Item, _Result]]:
    """Yield each task with its result when it is finished, in any order.

    The function and the tasks must be picklable. One process is this process.
    """
    if processes <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield task, function(task)
        return
    workers = min(processes, len(tasks))
    with ProcessPoolExecutor(workers, get_context("spawn"), exit_with_parent) as pool:
        try:
            futures = {pool.submit(function, task): task for task in tasks}
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:  # after an error or Ctrl+C, no other task begins
            pool.shutdown(wait=False, cancel_futures=True)


def exit_with_parent() -> None:
    """Exit this `multiprocessing` process as soon as its parent process is gone.

    A parent that is killed cannot stop its children. With a fork server, the parent is the
    process that requested this one. The exit is immediate, so files must be written atomically.
    """
    parent = parent_process()
    assert parent is not None, "exit_with_parent() must be called in a child process"

    def wait_for_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait_for_parent, daemon=True).start()
