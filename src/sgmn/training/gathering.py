"""The rows of all processes as one batch, with gradient, so that negatives cross processes.

Convention: encode both sides, gather both, and let every process compute the same loss over the
whole batch, with no factor for the number of processes. A row then receives the sum of all
processes' equal gradients, and the average that DistributedDataParallel takes makes of it what
one process with the whole batch would have had. The same holds for weights after the gathering,
such as the score's. So keep every gathering after the last encoder and in one order everywhere.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, distributed
from torch.nn import functional

from sgmn.model.tokens import Rows

R = TypeVar("R", bound=Tensor | Rows)


def gathered(rows: R) -> R:
    """The rows of every process in the order of their ranks; of a lone process, its own.

    Processes may have different numbers of rows, and of frames, patches or words a row: the
    longest decides, and zeros fill the rest, which is how `Rows` marks padding. Floats come as
    float32, as autocast may have left them in one dtype here and in another there.
    """
    if not distributed.is_available() or not distributed.is_initialized():
        return rows
    if distributed.get_world_size() == 1:
        return rows
    if isinstance(rows, Tensor):
        return cast(R, _all([rows])[0])
    tensors = [getattr(rows, field.name) for field in fields(cast(Any, rows))]
    return cast(R, type(rows)(*_all(tensors)))


def _all(tensors: list[Tensor]) -> list[Tensor]:
    """Each tensor with those of the other processes, after one exchange of all their shapes."""
    mine = [number for t in tensors for number in (*t.shape, t.requires_grad)]
    table = torch.tensor([mine], device=tensors[0].device, dtype=torch.long)
    told = torch.split(_joined(table), [t.dim() + 1 for t in tensors], dim=1)
    return [
        _cat(t, part[:, :-1].tolist(), bool(part[:, -1].any()))
        for t, part in zip(tensors, told, strict=True)
    ]


def _cat(tensor: Tensor, shapes: list[list[int]], learns: bool) -> Tensor:
    """One tensor with the others', whose shapes are known; `learns`: some process has a graph."""
    longest = [max(lengths) for lengths in zip(*shapes, strict=True)]
    if 0 in longest:
        return tensor.new_zeros(sum(shape[0] for shape in shapes), *longest[1:])
    missing = [
        n for at in reversed(range(tensor.dim())) for n in (0, longest[at] - tensor.shape[at])
    ]
    padded = functional.pad(tensor, missing)
    if tensor.is_floating_point():
        padded = padded.float()
    if learns and not tensor.requires_grad:
        padded = padded.detach().requires_grad_()  # or the others wait for its part in backward
    parts = torch.split(_joined(padded), longest[0])
    return torch.cat([part[: shape[0]] for part, shape in zip(parts, shapes, strict=True)])


def _joined(tensor: Tensor) -> Tensor:
    # The name that torch gives it in its own warnings; here, as torch 2.11 has no such name.
    from torch.distributed._functional_collectives import all_gather_single

    assert distributed.group.WORLD is not None
    return all_gather_single(tensor.contiguous(), 0, distributed.group.WORLD)
