"""The losses of a batch: switched off by weight 0, for every row, the same in two processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, multiprocessing

from sgmn.model import checkpoint
from sgmn.model.network import SGMN
from sgmn.model.parts import PARTS
from sgmn.model.scoring import LEARNT_TERMS
from sgmn.model.tokens import Tokens
from sgmn.training import distributed
from sgmn.training.config import LossConfig
from sgmn.training.data.batches import sells
from sgmn.training.losses.contrastive import info_nce
from sgmn.training.losses.objective import Looked, Objective, Outcome

B, T, N, L, S = 6, 3, 4, 5, 7
STILL = LossConfig(
    triplet=0.0, box=0.3, hard=3
)  # triplets are drawn at random, in the order of the rows


def full(model: Any) -> SGMN:
    """All parts, with their gates opened at random."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        parts = replace(model.network.config.parts, kept=PARTS)
        network: SGMN = model.network.with_parts(parts, LEARNT_TERMS)
        network.towers.requires_grad_(False)
        with torch.no_grad():
            for parameter in network.parts.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
    return network.eval()


def tokens(count: int, width: int, seed: int) -> Tokens:
    rng = torch.Generator().manual_seed(seed)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(*shape, width, generator=rng) / width**0.5

    yes = torch.ones(count, T, dtype=torch.bool)
    whole = torch.nn.functional.normalize(drawn(count, T), dim=-1)
    said = torch.nn.functional.normalize(drawn(count), dim=-1)
    patch_mask = yes[..., None].expand(count, T, N)
    word_mask = torch.ones(count, L, dtype=torch.bool)
    return Tokens(whole, yes, drawn(count, T, N), patch_mask, drawn(count, L), word_mask, said,
                  yes[:, 0])  # fmt: skip


SOLD = torch.tensor([[0, -1], [1, 2], [3, -1], [3, -1], [4, 0], [5, -1]])
LISTED = torch.arange(S)
INSIDE = torch.rand(B, T, N, generator=torch.Generator().manual_seed(4)) > 0.6
INSIDE[2:4] = False  # these have no boxes


def learnt(network: SGMN, config: LossConfig, rows: Any = slice(None)) -> Outcome:
    """One backward pass on some rows of the batch and the products that they sell."""
    objective = Objective(network.towers.dim, config, torch.arange(S))
    sold = SOLD[rows]
    own = sorted({int(n) for n in sold.flatten() if n >= 0} | {6})
    clips, guided = network.parts.guided_clips(tokens(B, network.towers.dim, 1)[rows])
    products = network.parts.products(tokens(S, network.towers.dim, 2)[own])
    looked = Looked(guided.patch_weights, INSIDE[rows])
    found: Outcome = objective(network, clips, products, sold, LISTED[own], looked)
    torch.autograd.backward(found.loss)
    return found


def gradients(network: SGMN) -> dict[str, Tensor]:
    named = network.named_parameters()
    return {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in named
            if p.requires_grad}  # fmt: skip


def test_a_weight_of_zero_leaves_a_loss_out(tiny: Callable[[], Any]) -> None:
    every = learnt(full(tiny()), LossConfig(hard=3))
    assert set(every.parts) == {"score", "text", "triplet", "pair"}
    assert float(every.loss.detach()) == pytest.approx(sum(every.parts.values()), rel=1e-5)
    none = LossConfig(text=0.0, triplet=0.0, pair=0.0)
    assert set(learnt(full(tiny()), none).parts) == {"score"}
    plain = learnt(full(tiny()), LossConfig(mining=False, hard=3))
    assert set(plain.parts) == {"score", "text", "pair"}  # the second pass still learns


def test_how_much_words_tell_is_learnt_from_words_alone(tiny: Callable[[], Any]) -> None:
    """By the score it is not: of a clip without pictures the words are all there is."""
    found = {}
    for telling in (0.0, 1.0):
        network = full(tiny())
        width = network.towers.dim
        config = LossConfig(triplet=0.0, pair=0.0, telling=telling)
        objective = Objective(width, config, torch.arange(S))
        clips = network.parts.clips(unseen(tokens(B, width, 1)))
        products = network.parts.products(unseen(tokens(S, width, 2)))
        outcome = objective(network, clips, products, SOLD, LISTED)
        torch.autograd.backward(outcome.loss)
        worth = network.parts.emphasis.worth.weight.grad
        found[telling] = 0.0 if worth is None else float(worth.abs().sum())
        assert ("telling" in outcome.parts) == (telling > 0)
    logits = clips.words @ products.words.T * network.head().logit_scale * clips.telling[:, None]
    expected = info_nce(logits, sells(SOLD, LISTED), torch.zeros(B, S, dtype=torch.bool))
    assert outcome.parts["telling"] == pytest.approx(float(expected.detach()), rel=1e-5)
    assert found[0.0] < found[1.0] / 1000


def unseen(given: Tokens) -> Tokens:
    """The same without pictures."""
    return replace(given, present=torch.zeros_like(given.present))


def test_the_box_loss_is_over_the_frames_that_have_boxes_and_no_padding(
    tiny: Callable[[], Any],
) -> None:
    """By loops; what the mask says of padded frames and patches changes neither loss nor α."""
    from sgmn.training.data.cached_batches import without_frames

    network, stays = (
        full(tiny()),
        torch.rand(B, T, generator=torch.Generator().manual_seed(6)) > 0.3,
    )
    given = without_frames(tokens(B, network.towers.dim, 1), stays)
    given.patch_mask[:, :, -1] = False
    clips, guided = network.parts.guided_clips(given)
    products = network.parts.products(tokens(S, network.towers.dim, 2))
    objective = Objective(network.towers.dim, replace(STILL, box=0.3), torch.arange(S))
    logs = [
        -guided.patch_weights[b, t, INSIDE[b, t]].sum().log()
        for b in range(B)
        for t in range(T)
        if stays[b, t] and INSIDE[b, t, :-1].any()
    ]
    assert 3 < len(logs) < B * T
    found = []
    for fill in (False, True):
        inside = INSIDE.clone()
        inside[~stays] = fill
        inside[..., -1] = inside[..., -1] & inside[..., :-1].any(-1) if fill else False
        looked = Looked(guided.patch_weights, inside)
        found.append(objective(network, clips, products, SOLD, LISTED, looked).parts["box"])
    expected = 0.3 * float(torch.stack(logs).detach().mean())
    assert found[0] == found[1] == pytest.approx(expected, rel=1e-5)


def test_clips_of_one_product_and_duplicates_teach_nothing_against_each_other(
    tiny: Callable[[], Any],
) -> None:
    """Products 5 and 6 are one listed twice: moving 6 must not change the loss of clip 5."""
    network = full(tiny())
    width = network.towers.dim
    objective = Objective(width, STILL, torch.tensor([0, 1, 2, 3, 4, 5, 5]))
    clips = network.parts.clips(tokens(B, width, 1)[5:])
    shelf = network.parts.products(tokens(S, width, 2)[[5, 6]])
    other = network.parts.products(tokens(S, width, 9)[[5, 6]])
    moved = replace(shelf, **{n: torch.cat([getattr(shelf, n)[:1], getattr(other, n)[1:]])
                              for n in ("picture", "words", "latents")})  # fmt: skip
    found = [objective(network, clips, p, SOLD[5:], torch.tensor([5, 6])) for p in (shelf, moved)]
    assert found[0].loss.item() == pytest.approx(found[1].loss.item(), abs=1e-6)
    assert found[0].skipped == 1  # no negative is left, and it says so


def test_every_row_gets_a_gradient(tiny: Callable[[], Any]) -> None:
    network = full(tiny())
    given = tokens(B, network.towers.dim, 1)
    whole = given.whole.clone().requires_grad_()
    clips = network.parts.clips(replace(given, whole=whole))
    products = network.parts.products(tokens(S, network.towers.dim, 2))
    objective = Objective(network.towers.dim, LossConfig(hard=3), torch.arange(S))
    torch.autograd.backward(objective(network, clips, products, SOLD, LISTED).loss)
    assert whole.grad is not None and bool((whole.grad.abs().sum((1, 2)) > 0).all())


def test_silent_and_blind_rows_spoil_nothing(tiny: Callable[[], Any]) -> None:
    network = full(tiny())
    given = tokens(B, network.towers.dim, 1)
    from sgmn.training.data.cached_batches import silenced, without_frames

    silent = torch.tensor([True, False, True, False, False, False])
    stays = torch.ones(B, T, dtype=torch.bool)
    stays[1] = False
    worn = without_frames(silenced(given, silent), stays)
    clips = network.parts.clips(worn)
    products = network.parts.products(tokens(S, network.towers.dim, 2))
    objective = Objective(network.towers.dim, LossConfig(hard=3), torch.arange(S))
    found = objective(network, clips, products, SOLD, LISTED)
    torch.autograd.backward(found.loss)
    assert found.loss.isfinite()
    assert all(g.isfinite().all() for g in gradients(network).values())


def _process(rank: int, meeting: str, source: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=meeting, rank=rank, world_size=2, timeout=timedelta(seconds=90)
    )
    assert distributed.count() == 2
    network = full(checkpoint.load(source))
    rows = list(distributed.share(range(B)))
    assert len(rows) == 3
    found = learnt(network, STILL, rows)
    distributed.average_gradients(network)
    kept = gradients(network)
    torch.save({**kept, "loss": found.loss.detach()}, f"{out}-{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_learn_what_one_does(tiny: Callable[[], Any], tmp_path: Path) -> None:
    checkpoint.save(tiny(), tmp_path / "tiny")
    alone = full(checkpoint.load(tmp_path / "tiny"))
    expected = learnt(alone, STILL)
    multiprocessing.spawn(
        _process,
        (f"file://{tmp_path}/meeting", str(tmp_path / "tiny"), str(tmp_path / "out")),
        nprocs=2,
    )
    for rank in (0, 1):
        found = torch.load(tmp_path / f"out-{rank}.pt", weights_only=True)
        assert float(found.pop("loss")) == pytest.approx(float(expected.loss), rel=1e-5)
        for name, grad in gradients(alone).items():
            torch.testing.assert_close(found[name], grad, rtol=1e-4, atol=1e-5, msg=name)
    assert np.isfinite(float(expected.loss))
