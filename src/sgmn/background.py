"""Work in the background while the caller does its own: threads, in order and in bounded memory,
and processes, which end with the one that started them."""

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
    """The same items, each made on a background thread while the one before is in use.

    Never more than one is waiting, so memory stays bounded by two items.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="sgmn-ahead") as worker:
        waiting = worker.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = worker.submit(next, items, end)
            yield item  # type: ignore[misc]  # not `end`, hence an item


def map_in_background(action: Callable[[_Item], _Result], items: Iterator[_Item]) -> Iterator[_Result]:
    """The action's result for each item, had on a background thread while the next is made.

    A result comes before the action for the next item begins, so one action runs at a time.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="sgmn-behind") as worker:
        waiting: Future[_Result] | None = None
        for item in items:
            if waiting is not None:
                yield waiting.result()
            waiting = worker.submit(action, item)
        if waiting is not None:
            yield waiting.result()


def exit_with_parent() -> None:
    """End this process when the one that started it is gone: one that was killed cannot tell it.

    For processes of `multiprocessing`, however they were started; the parent of one from a fork
    server is who asked for it. It ends at once, so what it writes must appear whole.
    """
    parent = parent_process()
    assert parent is not None, "only a process that another one started follows it"

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
