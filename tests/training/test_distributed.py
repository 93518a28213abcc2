"""Two processes learn what one with the whole batch would: gloo on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn
from torch.nn.functional import normalize

from sgmn.model import checkpoint
from sgmn.model.inputs import ItemInputs
from sgmn.model.network import SGMN
from sgmn.model.score_head import ScoreHead
from sgmn.model.scoring import ClipVectors, ProductVectors, score
from sgmn.training.cached_negatives import CachedNegatives
from sgmn.training.config import LossConfig
from sgmn.training.data.batches import Batch
from sgmn.training.data.token_edits import remove_text
from sgmn.training.distributed import (
    any_process,
    average_gradients,
    gather_rows,
    local_share,
    process_count,
    skip_averaging,
    zero_loss,
)
from sgmn.training.losses.contrastive import info_nce
from sgmn.training.losses.objective import BatchLoss, Objective
from sgmn.training.training_step import TrainingStep
from tests.training.losses.batch import B, S, batch_of, full_network, gradients

T, D = 4, 6
PROCESSES = 2
# Triplets are drawn at random.
NO_TRIPLETS = LossConfig(triplet=0.0, grounding=0.3, hard_negatives=3)


class Network(nn.Module):
    """An image tower, a text tower and the weights of the score."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text, self.head = nn.Linear(D, D), nn.Linear(D, D), ScoreHead()
        nn.init.constant_(self.head.cross, 0.2)
        nn.init.constant_(self.head.match, 0.3)
        nn.init.constant_(self.head.instances, 0.1)

    def encode_clips(self, share: Share) -> ClipVectors:
        count, length = share.frames.shape[:2]
        text = share.words[:count]
        if share.has_text.any():  # otherwise the text tower has no gradient
            text = self.text(text)
        frames = normalize(self.image(share.frames), dim=-1)
        text = normalize(text, dim=-1)
        weights = torch.full((count, length), 1 / length)
        image, has_image = normalize(frames.mean(1), dim=-1), torch.ones(count, dtype=torch.bool)
        clips = ClipVectors(frames, weights, image, has_image, text, share.has_text)
        return replace(clips, instances=frames, instance_weights=weights)  # a patch a frame

    def encode_products(self, share: Share) -> ProductVectors:
        count = len(share.images)
        present = torch.ones(count, dtype=torch.bool)
        image = normalize(self.image(share.images), dim=-1)
        text = normalize(self.text(share.words[-count:]), dim=-1)
        return ProductVectors(image, present, text, present)

    def loss_of(self, clips: ClipVectors, products: ProductVectors, product_of: Tensor) -> Tensor:
        weights = self.head()
        positive = product_of[:, None] == torch.arange(len(products))
        return info_nce(score(clips, products, weights) * weights.logit_scale, positive)

    def forward(self, share: Share) -> tuple[Tensor, int]:
        """Return the loss of the batch of all processes, and its number of clips."""
        zero = zero_loss(self)
        clips, products = self.encode_clips(share), self.encode_products(share)
        clips, products = gather_rows(clips), gather_rows(products)
        return self.loss_of(clips, products, gather_rows(share.product_of)) + zero, len(clips)


class Share(NamedTuple):
    """The clips and products of a process; the processes differ in their numbers and lengths."""

    frames: Tensor
    has_text: Tensor
    images: Tensor
    words: Tensor
    product_of: Tensor


def shares() -> list[Share]:
    torch.manual_seed(1)
    return [
        Share(
            torch.randn(3, 2, D),
            torch.tensor([1, 0, 1]).bool(),
            torch.randn(4, D),
            torch.randn(7, D),
            torch.tensor([0, 1, 5]),
        ),
        Share(
            torch.randn(2, T, D),
            torch.zeros(2).bool(),
            torch.randn(2, D),
            torch.randn(4, D),
            torch.tensor([4, 1]),
        ),
    ]


def whole_batch() -> tuple[Tensor, dict[str, Tensor]]:
    """Learn in one process; frames that only the longer share has are padding in the other."""
    first, second = shares()
    network = Network()
    short, long = network.encode_clips(first), network.encode_clips(second)
    frames = nn.functional.pad(short.frames, (0, 0, 0, T - 2))
    weights = nn.functional.pad(short.frame_weights, (0, T - 2))
    padded = replace(
        short, frames=frames, instances=frames, frame_weights=weights, instance_weights=weights
    )
    products = ProductVectors.cat([network.encode_products(share) for share in (first, second)])
    product_of = torch.cat([first.product_of, second.product_of])
    loss = network.loss_of(ClipVectors.cat([padded, long]), products, product_of)
    torch.autograd.backward(loss)
    return loss.detach(), gradients_of(network)


def gradients_of(network: nn.Module) -> dict[str, Tensor]:
    return {n: p.grad for n, p in network.named_parameters() if p.grad is not None}


def learn_share(rank: int) -> dict[str, Any]:
    network = Network()
    averaged = average_gradients(network)  # must outlive the backward pass
    loss, clips = averaged(shares()[rank])
    torch.autograd.backward(loss)
    return {"clips": clips, "loss": loss.detach(), "gradients": gradients_of(network)}


def learn_objective(source: str, batches: Sequence[Callable[..., Batch]]) -> dict[str, Any]:
    """Accumulate the gradients of some batches and average them after the last one."""
    network = full_network(checkpoint.load(source))
    rows = list(local_share(range(B)))
    step = build_step(network)
    wrapped = average_gradients(step)
    losses = []
    for number, build in enumerate(batches, start=1):
        batch = build(network.towers.dim, rows)
        if number < len(batches):
            with skip_averaging(wrapped):
                losses.append(backward(wrapped, batch))
        else:
            losses.append(backward(wrapped, batch))
    return {"losses": losses, "gradients": gradients(network)}


def learn_cached(network: SGMN, share: Callable[[list[int]], list[int]]) -> dict[str, Tensor]:
    """Return the gradients of two batches with cached negatives; `share` selects their rows."""
    passes = CachedNegatives(network, build_step(network).objective)
    batches = [batch_of(network.towers.dim, share(rows)) for rows in ([0, 1, 2, 3], [4, 5])]
    passes.backward(batches)
    return gradients(network)


def build_step(network: SGMN) -> TrainingStep:
    return TrainingStep(network, Objective(network.towers.dim, NO_TRIPLETS, torch.arange(S)))


def backward(step: nn.Module, batch: Batch) -> float:
    result: BatchLoss = step(batch)
    torch.autograd.backward(result.loss)
    return float(result.loss.detach())


def silent_batch_of(dim: int, rows: Any = slice(None)) -> Batch:
    """The batch without the transcripts of the second process (odd rows)."""
    batch = batch_of(dim, rows)
    numbers = np.arange(B)[rows]
    assert not isinstance(batch.clips, ItemInputs)
    return replace(batch, clips=remove_text(batch.clips, torch.from_numpy(numbers % 2 == 1)))


def work(rank: int, folder: Path) -> None:
    """One process: its results go into a file."""
    torch.set_num_threads(1)
    timeout = timedelta(seconds=90)  # a process that waits for the other fails instead
    distributed.init_process_group(
        "gloo", f"file://{folder}/meeting", timeout, world_size=PROCESSES, rank=rank
    )
    source = str(folder / "tiny")
    results = {
        "count": process_count(),
        "any": [any_process(flag, torch.device("cpu")) for flag in (False, rank == 1)],
        "share": learn_share(rank),
        "once": learn_objective(source, [batch_of]),
        "accumulated": learn_objective(source, [silent_batch_of, batch_of]),
        "cached": learn_cached(full_network(checkpoint.load(source)), lambda r: [*local_share(r)]),
    }
    torch.save(results, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def results(
    tiny: Callable[[], Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, list[dict[str, Any]]]:
    """The model that two processes trained, and the results of both."""
    folder = tmp_path_factory.mktemp("processes")
    checkpoint.save(tiny(), folder / "tiny")
    spawn(work, (folder,), PROCESSES)
    found = [torch.load(folder / f"{rank}.pt") for rank in range(PROCESSES)]
    return str(folder / "tiny"), found


Results = tuple[str, list[dict[str, Any]]]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ragged_rows_of_two_processes_give_the_gradient_of_the_whole_batch(
    results: Results,
) -> None:
    loss, expected = whole_batch()
    for result in results[1]:
        share = result["share"]
        assert result["count"] == 2 and share["clips"] == 5
        torch.testing.assert_close(share["loss"], loss, atol=1e-6, rtol=0)
        assert share["gradients"].keys() == expected.keys()
        for name, gradient in expected.items():
            assert gradient.abs().max() > 1e-4
            torch.testing.assert_close(share["gradients"][name], gradient, atol=1e-6, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "batches"),
    [("once", [batch_of]), ("accumulated", [silent_batch_of, batch_of])],
)
def test_the_objective_of_two_processes_equals_that_of_one(
    results: Results, name: str, batches: Sequence[Callable[..., Batch]]
) -> None:
    """Also with accumulated batches, and with a batch whose second process has no transcript."""
    source, found = results
    network = full_network(checkpoint.load(source))
    step = build_step(network)
    losses = [backward(step, build(network.towers.dim)) for build in batches]
    expected = gradients(network)
    for result in found:
        assert result[name]["losses"] == pytest.approx(losses, rel=1e-5)
        for parameter, gradient in expected.items():
            own = result[name]["gradients"][parameter]
            torch.testing.assert_close(own, gradient, rtol=1e-4, atol=1e-5, msg=parameter)


@pytest.mark.slow
def test_cached_negatives_of_two_processes_equal_those_of_one(results: Results) -> None:
    source, found = results
    expected = learn_cached(full_network(checkpoint.load(source)), lambda rows: rows)
    for result in found:
        for name, gradient in expected.items():
            own = result["cached"][name]
            torch.testing.assert_close(own, gradient, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.slow
def test_a_flag_of_one_process_reaches_all(results: Results) -> None:
    assert [result["any"] for result in results[1]] == [[False, True], [False, True]]


def test_a_single_process_keeps_its_own_rows() -> None:
    rows = torch.randn(3, D)
    clips = Network().encode_clips(shares()[0])
    assert gather_rows(rows) is rows and gather_rows(clips) is clips
    assert local_share([1, 2, 3]) == (1, 2, 3) and any_process(True, torch.device("cpu"))
