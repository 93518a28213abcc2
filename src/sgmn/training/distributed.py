"""Several processes that train one model: who this one is, its share, and one gradient for all.

Launched by `torchrun` or `accelerate launch`, which tell each process who it is.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import distributed, nn

T = TypeVar("T")


def join(device: str) -> None:
    """Meet the other processes of the launch, if there are any; `device` "cpu", "cuda", "auto"."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        on_gpu = device != "cpu" and torch.cuda.is_available()
        distributed.init_process_group("nccl" if on_gpu else "gloo")


def count() -> int:
    """How many processes there are."""
    there = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if there else 1


def is_first() -> bool:
    """Whether this process is the one that writes."""
    return count() == 1 or distributed.get_rank() == 0


def share(items: Sequence[T]) -> tuple[T, ...]:
    """What of a batch this process takes."""
    return tuple(items) if count() == 1 else tuple(items[distributed.get_rank() :: count()])


def start_method() -> str:
    """How to start those that prepare batches: where there is such a thing, as copies of a process
    that has imported everything once; else each imports it for itself, one after the other."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    multiprocessing.set_forkserver_preload(["torch", "transformers", "sgmn.training.data.batches"])
    return "forkserver"


def average_gradients(network: nn.Module) -> None:
    """Give every process the mean of all gradients, as one process would have had it.

    A parameter that no part of this process's batch reached counts as zero.
    """
    if count() == 1:
        return
    learnt = [p for p in network.parameters() if p.requires_grad]
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in learnt]
    flat = torch.cat([grad.flatten() for grad in grads])
    distributed.all_reduce(flat)
    flat /= count()
    for parameter, part in zip(learnt, torch.split(flat, [g.numel() for g in grads]), strict=True):
        parameter.grad = part.view_as(parameter)
