"""The passes of a training step: from its batches to the gradients of their losses."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import nn

from sgmn.model.network import SGMN
from sgmn.model.scoring import ClipVectors, ProductVectors
from sgmn.training.data.batches import Batch
from sgmn.training.distributed import average_gradients, skip_averaging, zero_loss
from sgmn.training.losses.grounding import Grounding
from sgmn.training.losses.objective import BatchLoss, Objective


class EncodedBatch(NamedTuple):
    """What the objective compares, see there."""

    clips: ClipVectors
    products: ProductVectors
    grounding: Grounding | None


def encode_batch(network: SGMN, batch: Batch) -> EncodedBatch:
    """Encode the clips and products of a batch, in bfloat16 on a GPU."""
    device = network.device
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        tokens = network.encode_clip_tokens(batch.clips)
        guidance = network.parts.guide(tokens, "clips")
        clips = network.parts.encode_guided_clips(tokens, guidance)
        products = network.encode_products(batch.products)
    grounding = None
    if batch.labels is not None:
        grounding = Grounding.compare(guidance, tokens.image_mask, batch.labels.to(device))
    return EncodedBatch(clips, products, grounding)


class TrainingStep(nn.Module):
    """Encodes a batch and computes its loss, as one module that can be distributed."""

    def __init__(self, network: SGMN, objective: Objective) -> None:
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, batch: Batch) -> BatchLoss:
        """Compute the loss of a batch; with several processes, of the batch of all of them."""
        zero = zero_loss(self.network)  # first, see there
        device, encoded = self.network.device, encode_batch(self.network, batch)
        targets, candidates = batch.targets.to(device), batch.candidates.to(device)
        clips, products, grounding = encoded
        result: BatchLoss = self.objective(
            self.network, clips, products, targets, candidates, grounding
        )
        return result._replace(loss=result.loss + zero)


class SeparateBatches:
    """The mean loss of the batches of a step: each clip has the negatives of its own batch."""

    def __init__(self, network: SGMN, objective: Objective) -> None:
        self.step = average_gradients(TrainingStep(network, objective))

    def backward(self, batches: Sequence[Batch]) -> list[BatchLoss]:
        """Add the gradients of the mean loss to the parameters; return the loss of each batch."""
        results = []
        for number, batch in enumerate(batches, start=1):
            with nullcontext() if number == len(batches) else skip_averaging(self.step):
                result: BatchLoss = self.step(batch)
                if result.loss.requires_grad:  # not if text is trained and no clip has any
                    torch.autograd.backward(result.loss / len(batches))
            results.append(result._replace(loss=result.loss.detach()))
        return results
