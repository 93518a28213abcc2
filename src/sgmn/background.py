"""Background work: one-item lookahead on a thread, and processes that exit with their parent."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import parent_process
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def prefetch(items: Iterator[_Item]) -> Iterator[_Item]:
    """Yield the same items, producing each on a background thread while the last one is in use.

    At most one item is prefetched, so two items are in memory at a time.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="sgmn-prefetch") as worker:
        future = worker.submit(next, items, end)
        while (item := future.result()) is not end:
            future = worker.submit(next, items, end)
            yield item  # type: ignore[misc]  # not `end`, so it is an item


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
