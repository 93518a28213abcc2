"""Loads batches ahead of the training step, in worker processes or in a thread."""

from __future__ import annotations

import signal
import warnings
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

from torch.utils.data import DataLoader

from sgmn.background import exit_with_parent
from sgmn.training.data.batches import Batch, Batches, BatchSpec
from sgmn.training.distributed import worker_start_method

READ_AHEAD = 2  # batches, as for each worker of a DataLoader


def load_batches(
    batches: Batches, specs: Iterator[int | BatchSpec], workers: int
) -> Iterator[Batch]:
    """Load the batches of some specs, in order.

    workers: processes that prepare batches. Cached batches are read in a thread of this process
        if there are any: a worker would spend more time on passing tensors on than on reading.
    """
    if workers and not batches.reads_files:
        return read_ahead(batches, specs)
    with warnings.catch_warnings():  # a config may ask for more workers than there are cores
        warnings.filterwarnings("ignore", "This DataLoader will create")
        return iter(_build_loader(batches, specs, workers))


def read_ahead(
    batches: Batches, specs: Iterator[int | BatchSpec], depth: int = READ_AHEAD
) -> Iterator[Batch]:
    """Read batches in a thread, `depth` of them ahead.

    The specs are drawn in the caller's thread, because mining a new epoch uses the network.
    """
    with ThreadPoolExecutor(1, "batches") as pool:
        pending = deque(pool.submit(batches.__getitem__, spec) for spec in islice(specs, depth))
        while pending:
            batch = pending.popleft().result()
            pending.extend(pool.submit(batches.__getitem__, spec) for spec in islice(specs, 1))
            yield batch


def _build_loader(
    batches: Batches, specs: Iterator[int | BatchSpec], workers: int
) -> DataLoader[Batch]:
    return DataLoader(
        batches,
        batch_size=None,
        sampler=specs,
        num_workers=workers,
        multiprocessing_context=worker_start_method() if workers else None,
        worker_init_fn=_initialize_worker,
    )


def _initialize_worker(worker: int) -> None:
    """Ignore signals to the whole process group; the worker ends with the trainer.

    The trainer still needs its workers to complete the current step before it saves.
    """
    exit_with_parent()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
