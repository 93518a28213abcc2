"""Loads batches in worker processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from torch.utils.data import DataLoader

from sgmn.background import exit_with_parent
from sgmn.training.data.batches import Batch, Batches, BatchSpec
from sgmn.training.distributed import worker_start_method


def build_loader(
    batches: Batches, specs: Iterator[int] | Iterator[BatchSpec], workers: int
) -> DataLoader[Batch]:
    """Return a loader of the batches of some specs, in order.

    workers: processes that prepare batches; cached batches are always read in this process.
    """
    workers = workers if batches.reads_files else 0
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
