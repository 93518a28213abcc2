"""What runs a job: this process, or the workers of a cluster.

A job is a description that can be sent to another machine; what is expensive, such as a model, is
loaded where the job runs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
_Item = TypeVar("_Item", contravariant=True)
_Result = TypeVar("_Result", covariant=True)


class Job(Hashable, Protocol[_Item, _Result]):
    """A picklable and hashable description of work, such as a frozen dataclass.

    An item may be processed more than once, for example if its machine fails, so that processing
    must have no effect other than its result.
    """

    def open(self) -> Callable[[_Item], _Result]:
        """Load what the work needs, once in each process, and return what processes an item."""


class Engine(Protocol):
    """Runs jobs."""

    def map(self, job: Job[Item, Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the result for each item, in order. Items are read as they are needed."""


class LocalEngine:
    """Runs jobs in this process."""

    def map(self, job: Job[Item, Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield the result for each item, in order."""
        yield from map(job.open(), items)
