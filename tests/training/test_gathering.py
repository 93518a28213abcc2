"""Two processes learn what one with the whole batch would: gloo on the CPU."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.functional import normalize
from torch.nn.parallel import DistributedDataParallel

from sgmn.model.scoring import ClipVectors, ProductVectors, ScoreHead, score
from sgmn.training.gathering import gathered
from sgmn.training.losses.contrastive import info_nce

T, D = 4, 6
PROCESSES = 2


class Network(nn.Module):
    """A tower for frames and one for words, and the score's weights."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.see, self.say, self.head = nn.Linear(D, D), nn.Linear(D, D), ScoreHead()
        nn.init.constant_(self.head.cross, 0.2)
        nn.init.constant_(self.head.match, 0.3)
        nn.init.constant_(self.head.instances, 0.1)

    def forward(self, frames: Tensor, words: Tensor, spoken: Tensor) -> tuple[Tensor, Tensor]:
        said = self.say(words) if spoken.any() else words  # no graph without any words
        return normalize(self.see(frames), dim=-1), normalize(said, dim=-1)


class Half(NamedTuple):
    """The clips and products of a process; the processes differ in their numbers and lengths."""

    frames: Tensor
    spoken: Tensor
    shown: Tensor
    words: Tensor
    product_of: Tensor


def halves() -> list[Half]:
    torch.manual_seed(1)
    return [
        Half(torch.randn(3, 2, D), torch.tensor([1, 0, 1]).bool(), torch.randn(4, D),
             torch.randn(7, D), torch.tensor([0, 1, 5])),
        Half(torch.randn(2, T, D), torch.zeros(2).bool(), torch.randn(2, D),
             torch.randn(4, D), torch.tensor([4, 1])),
    ]  # fmt: skip


def learn(network: nn.Module, head: ScoreHead, half: Half) -> tuple[Tensor, int]:
    """The loss of a process's half after gathering, with its gradient; and the rows it saw."""
    clips, products, weights = encoded(network, half), listed(network, half), head()
    whole, shelf, of = gathered(clips), gathered(products), gathered(half.product_of)
    positive = of[:, None] == torch.arange(len(shelf))
    loss = info_nce(score(whole, shelf, weights) * weights.logit_scale, positive)
    torch.autograd.backward(loss)
    return loss.detach(), len(whole)


def encoded(network: nn.Module, half: Half) -> ClipVectors:
    count, length = half.frames.shape[:2]
    frames, words = network(half.frames, half.words[:count], half.spoken)
    shares = torch.full((count, length), 1 / length)
    pooled = normalize(frames.mean(1), dim=-1)
    there = torch.ones(count, dtype=torch.bool)
    found = ClipVectors(frames, shares, pooled, there, words, half.spoken)
    return replace(found, instances=frames, instance_weights=shares)  # a patch a frame


def listed(network: nn.Module, half: Half) -> ProductVectors:
    there = torch.ones(len(half.shown), dtype=torch.bool)
    picture, words = network(half.shown, half.words[-len(half.shown) :], there)
    return ProductVectors(picture, there, words, there)


def work(rank: int, folder: Path) -> None:
    """One process: the gradient of the averaged model into a file."""
    torch.set_num_threads(1)
    meeting = f"file://{folder}/meet"
    soon = timedelta(seconds=60)  # a process that waits for the other fails instead
    distributed.init_process_group("gloo", meeting, soon, PROCESSES, rank)
    network = Network()
    averaged = DistributedDataParallel(network)
    loss, rows = learn(averaged, network.head, halves()[rank])
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    torch.save((distributed.get_world_size(), rows, loss, found), folder / f"{rank}.pt")
    distributed.destroy_process_group()


def whole_batch() -> tuple[Tensor, dict[str, Tensor]]:
    """One process with all rows, where frames that only the longer half has are padding."""
    first, second = halves()
    network = Network()
    parts = [encoded(network, half) for half in (first, second)]
    short = parts[0]
    frames = nn.functional.pad(short.frames, (0, 0, 0, T - 2))
    shares = nn.functional.pad(short.frame_weights, (0, T - 2))
    padded = replace(
        short,
        frames=frames,
        instances=frames,
        frame_weights=shares,
        instance_weights=shares,
    )
    clips = ClipVectors.cat([padded, parts[1]])
    products = ProductVectors.cat([listed(network, half) for half in (first, second)])
    positive = torch.cat([first.product_of, second.product_of])[:, None] == torch.arange(6)
    weights = network.head()
    loss = info_nce(score(clips, products, weights) * weights.logit_scale, positive)
    torch.autograd.backward(loss)
    return loss.detach(), {
        name: p.grad for name, p in network.named_parameters() if p.grad is not None
    }


@pytest.mark.timeout(240)
def test_two_processes_learn_what_one_would(tmp_path: Path) -> None:
    multiprocessing.spawn(work, (tmp_path,), PROCESSES)
    loss, expected = whole_batch()
    for rank in range(PROCESSES):
        processes, rows, own_loss, found = torch.load(tmp_path / f"{rank}.pt")
        assert processes == 2 and rows == 5
        torch.testing.assert_close(own_loss, loss, atol=1e-6, rtol=0)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            assert gradient.abs().max() > 1e-4
            torch.testing.assert_close(found[name], gradient, atol=1e-6, rtol=1e-6)


def test_a_lone_process_keeps_its_own_rows() -> None:
    rows = torch.randn(3, D)
    clips = encoded(Network(), halves()[0])
    assert gathered(rows) is rows and gathered(clips) is clips
