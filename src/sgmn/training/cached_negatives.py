"""One loss for all batches of a step, in the memory of a single batch (GradCache).

    first pass   encode each batch without a graph, and keep its vectors
    loss         of all vectors together, and its gradient with respect to them
    second pass  encode each batch again, with a graph, and pass the gradient of its vectors on

The gradient is that of one large batch, for an additional forward pass of the network (Gao et al.
2021, "Scaling deep contrastive learning batch size under memory limited setup"). Each clip is
compared with the products of all batches of the step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import fields
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from sgmn.model.network import SGMN
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.model.tokens import TensorRows
from sgmn.training.data.batches import Batch
from sgmn.training.distributed import average_gradients, skip_averaging, zero_loss
from sgmn.training.losses.grounding import Grounding
from sgmn.training.losses.objective import BatchLoss, Objective
from sgmn.training.training_step import EncodedBatch, encode_batch

R = TypeVar("R", bound=TensorRows)
RngState = tuple[Tensor, Tensor | None]  # of the CPU and of the GPU


class CachedNegatives:
    """The loss of all batches of a step together."""

    def __init__(self, network: SGMN, objective: Objective) -> None:
        self.network, self.objective = network, objective
        self.second_pass = average_gradients(SecondPass(network))

    def backward(self, batches: Sequence[Batch]) -> list[BatchLoss]:
        """Add the gradients of the loss to the parameters; return the loss, as the only item."""
        device = self.network.device
        states, cached = [], []
        for batch in batches:
            states.append(_read_rng(device))
            with torch.no_grad():
                encoded = encode_batch(self.network, batch)
            cached.append(_track_gradients(encoded))
        result = self._loss(batches, cached)
        torch.autograd.backward(result.loss)
        for number, batch in enumerate(batches):
            _restore_rng(states[number], device)  # the same dropout as in the first pass
            last = number == len(batches) - 1
            with nullcontext() if last else skip_averaging(self.second_pass):
                product: Tensor = self.second_pass(batch, cached[number])
                if product.requires_grad:
                    torch.autograd.backward(product)
        return [result._replace(loss=result.loss.detach())]

    def _loss(self, batches: Sequence[Batch], cached: Sequence[EncodedBatch]) -> BatchLoss:
        """Compare the vectors of all batches."""
        device = self.network.device
        clips = ClipVectors.cat(encoded.clips for encoded in cached)
        products = ProductVectors.cat(encoded.products for encoded in cached)
        labeled = [encoded.grounding for encoded in cached if encoded.grounding is not None]
        grounding = Grounding.cat(labeled) if labeled else None
        width = max(batch.targets.shape[1] for batch in batches)
        targets = torch.cat([_widen(batch.targets, width) for batch in batches]).to(device)
        candidates = torch.cat([batch.candidates for batch in batches]).to(device)
        result: BatchLoss = self.objective(
            self.network, clips, products, targets, candidates, grounding
        )
        return result


class SecondPass(nn.Module):
    """Encodes a batch with a graph, as one module that can be distributed."""

    def __init__(self, network: SGMN) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch, cached: EncodedBatch) -> Tensor:
        """Return the product of a batch's vectors and the gradients of the cached ones: a scalar.

        Its gradient with respect to the parameters is the batch's share of the loss's gradient.
        """
        total = torch.zeros((), device=self.network.device) + zero_loss(self.network)
        for rows, leaves in zip(encode_batch(self.network, batch), cached, strict=True):
            for value, leaf in _paired_tensors(rows, leaves):
                if leaf.grad is not None and value.requires_grad:
                    total = total + (value.float() * leaf.grad.float()).sum()
        return total


def _track_gradients(encoded: EncodedBatch) -> EncodedBatch:
    """Return the vectors as the leaves of a new graph."""
    clips, products, grounding = encoded
    return EncodedBatch(
        _as_leaves(clips),
        _as_leaves(products),
        None if grounding is None else _as_leaves(grounding),
    )


def _as_leaves(rows: R) -> R:
    return rows.map_tensors(lambda t: t.detach().requires_grad_(t.is_floating_point()))


def _paired_tensors(
    rows: TensorRows | None, others: TensorRows | None
) -> Iterable[tuple[Tensor, Tensor]]:
    """Yield the tensors of two objects of the same class, field by field."""
    if rows is not None:
        for field in fields(cast(Any, rows)):
            yield getattr(rows, field.name), getattr(others, field.name)


def _widen(targets: Tensor, width: int) -> Tensor:
    """Pad targets (B, P) to (B, width) with -1."""
    return nn.functional.pad(targets, (0, width - targets.shape[1]), value=-1)


def _read_rng(device: torch.device) -> RngState:
    on_gpu = device.type == "cuda"
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if on_gpu else None


def _restore_rng(state: RngState, device: torch.device) -> None:
    cpu, gpu = state
    torch.set_rng_state(cpu)
    if gpu is not None:
        torch.cuda.set_rng_state(gpu, device)
