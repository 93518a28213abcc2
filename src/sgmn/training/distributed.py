"""Training in several processes: shares of a batch, gathered rows, averaged gradients.

`torchrun` starts the processes and tells each of them its rank.

Every process encodes its share of a batch, gathers the rows of all processes with `gather_rows`,
and computes the same loss on the whole batch, without a factor for the number of processes. The
gradient of a gathered row is then the sum over all processes, and the mean that
DistributedDataParallel takes equals the gradient of one process with the whole batch. The same
holds for parameters that are used after gathering, such as those of the score. All processes must
gather in the same order, after the last encoder.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed, nn
from torch.autograd import Function
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from sgmn.model.tokens import TensorRows

T = TypeVar("T")
R = TypeVar("R", bound=Tensor | TensorRows)


def join_process_group(device: str) -> None:
    """Connect to the other processes that `torchrun` started, if there are any.

    device: "cpu", "cuda" or "auto".
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        on_gpu = device != "cpu" and torch.cuda.is_available()
        distributed.init_process_group("nccl" if on_gpu else "gloo")


def process_count() -> int:
    """Return the number of training processes."""
    active = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if active else 1


def is_first_process() -> bool:
    """Whether this is the process that writes files and reports progress."""
    return process_count() == 1 or distributed.get_rank() == 0


def local_share(items: Sequence[T]) -> tuple[T, ...]:
    """Return this process's share of a batch."""
    count = process_count()
    return tuple(items) if count == 1 else tuple(items[distributed.get_rank() :: count])


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether `flag` is True in any process; all processes must call this together."""
    if process_count() == 1:
        return flag
    flags = torch.tensor(int(flag), device=device)
    distributed.all_reduce(flags, distributed.ReduceOp.MAX)
    return bool(flags)


def wait_for_all() -> None:
    """Wait until all training processes have called this."""
    if process_count() > 1:
        distributed.barrier()


def worker_start_method() -> str:
    """Return how to start the workers that prepare batches.

    With "forkserver" workers are forks of a process that has imported everything once; with
    "spawn" each worker imports everything itself.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    multiprocessing.set_forkserver_preload(["torch", "transformers", "sgmn.training.data.batches"])
    return "forkserver"


def average_gradients(module: nn.Module) -> nn.Module:
    """Wrap a module so that every backward pass averages its gradients over all processes.

    Returns the module itself if there is only one process. The module must call `zero_loss` at the
    beginning of its forward pass and add it to its loss.
    """
    if process_count() == 1:
        return module
    return DistributedDataParallel(module, forward_sync_buffers=False)


def skip_averaging(module: nn.Module) -> AbstractContextManager[None]:
    """Return a context in which backward passes only accumulate gradients in this process."""
    if isinstance(module, DistributedDataParallel):
        return cast(AbstractContextManager[None], module.no_sync())
    return nullcontext()


def zero_loss(module: nn.Module) -> Tensor | float:
    """Return a zero that depends on every trainable parameter; 0.0 if there is only one process.

    A process may reach other parameters than the rest, for example if none of its clips has a
    transcript. With this zero in the loss, DistributedDataParallel receives a gradient of every
    parameter in every process. Computed before everything else, it is also the last step of the
    backward pass: no gradients are averaged while rows are still exchanged, which would make the
    order of the exchanges differ between processes.
    """
    if process_count() == 1:
        return 0.0
    trainable = (p for p in module.parameters() if p.requires_grad)
    return torch.stack([p.flatten()[:0].sum().float() for p in trainable]).sum()


class _AllGather(Function):
    """Concatenates a tensor of all processes; the gradient is the sum over the processes.

    `torch.distributed.nn.functional.all_gather` does the same, but is deprecated in favor of a
    private function.
    """

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        parts = [torch.empty_like(tensor) for _ in range(process_count())]
        distributed.all_gather(parts, tensor)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous().clone()
        distributed.all_reduce(gradient)
        return gradient.chunk(process_count())[distributed.get_rank()]


def gather_rows(rows: R) -> R:
    """Gather the rows of all processes, ordered by rank, with gradient.

    Processes may have different numbers of rows, and of frames, patches or words in a row. Shorter
    ones are padded with zeros, which `TensorRows` treats as padding. Floats are returned as
    float32, because autocast may produce another dtype in another process. A single process gets
    its own rows back.
    """
    if process_count() == 1:
        return rows
    if isinstance(rows, Tensor):
        return cast(R, _gather_all([rows])[0])
    tensors = [getattr(rows, field.name) for field in fields(cast(Any, rows))]
    return cast(R, type(rows)(*_gather_all(tensors)))


def _gather_all(tensors: list[Tensor]) -> list[Tensor]:
    """Gather several tensors after a single exchange of all their shapes."""
    own = [number for t in tensors for number in (*t.shape, t.requires_grad)]
    table = _all_gather(torch.tensor([own], device=tensors[0].device, dtype=torch.long))
    columns = torch.split(table, [t.dim() + 1 for t in tensors], dim=1)
    return [
        _gather_padded(tensor, part[:, :-1].tolist(), bool(part[:, -1].any()))
        for tensor, part in zip(tensors, columns, strict=True)
    ]


def _gather_padded(tensor: Tensor, shapes: list[list[int]], requires_grad: bool) -> Tensor:
    """Gather tensors of different shapes.

    Args:
        tensor: this process's tensor.
        shapes: of the tensors of all processes.
        requires_grad: whether the tensor of any process does.
    """
    longest = [max(lengths) for lengths in zip(*shapes, strict=True)]
    if 0 in longest:
        return tensor.new_zeros(sum(shape[0] for shape in shapes), *longest[1:])
    missing = [
        n for axis in reversed(range(tensor.dim())) for n in (0, longest[axis] - tensor.shape[axis])
    ]
    padded = functional.pad(tensor, missing)
    if tensor.is_floating_point():
        padded = padded.float()
    if requires_grad and not tensor.requires_grad:
        padded = padded.detach().requires_grad_()  # or the others wait for it in backward
    parts = torch.split(_all_gather(padded), longest[0])
    return torch.cat([part[: shape[0]] for part, shape in zip(parts, shapes, strict=True)])


def _all_gather(tensor: Tensor) -> Tensor:
    return cast(Tensor, _AllGather.apply(tensor.contiguous()))  # type: ignore[no-untyped-call]
