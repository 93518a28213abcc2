"""The forward pass of a training step: from a batch to its loss."""

from __future__ import annotations

import torch
from torch import nn

from sgmn.model.network import SGMN
from sgmn.training.data.batches import Batch
from sgmn.training.distributed import zero_loss
from sgmn.training.losses.grounding import Grounding
from sgmn.training.losses.objective import BatchLoss, Objective


class TrainingStep(nn.Module):
    """Encodes a batch and computes its loss, as one module that can be distributed."""

    def __init__(self, network: SGMN, objective: Objective) -> None:
        super().__init__()
        self.network, self.objective = network, objective

    def forward(self, batch: Batch) -> BatchLoss:
        """Compute the loss of a batch; with several processes, of the batch of all of them."""
        zero = zero_loss(self.network)  # first, see there
        network, device = self.network, self.network.device
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            tokens = network.encode_tokens(batch.clips)
            guidance = network.parts.guide(tokens, "clips")
            clips = network.parts.encode_guided_clips(tokens, guidance)
            products = network.encode_products(batch.products)
        grounding = None
        if batch.labels is not None:
            labels = batch.labels.to(device)
            grounding = Grounding.compare(guidance, tokens.image_mask, labels)
        targets, candidates = batch.targets.to(device), batch.candidates.to(device)
        result: BatchLoss = self.objective(network, clips, products, targets, candidates, grounding)
        return result._replace(loss=result.loss + zero)
