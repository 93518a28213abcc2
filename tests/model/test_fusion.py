"""The re-ranker against its own formula, a pair at a time, and for what it is there to tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.functional import normalize
from torch.utils._python_dispatch import TorchDispatchMode

from sgmn.model.fusion import HEAD, ClipMemory, Fusion
from sgmn.model.tokens import ItemTokens

B, L, S, T, N, W, D = 4, 9, 6, 3, 5, 4, 24
Bag = tuple[Tensor, Tensor]


def fusion(heads: int = 2, seed: int = 7) -> Fusion:
    """One that has learnt something: no parameter where it began."""
    torch.manual_seed(seed)
    made = Fusion(D, heads, latents=3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return made


def clips() -> Bag:
    """Clips' tokens and mask; number 3 has nothing."""
    torch.manual_seed(0)
    mask = torch.arange(L) < torch.tensor([[L], [4], [1], [0]])
    return torch.randn(B, L, D) * mask.unsqueeze(-1), mask


def products() -> ItemTokens:
    """Products of several views; 2 has only a title, 3 only a picture, 4 nothing."""
    torch.manual_seed(1)
    present = torch.arange(T) < torch.tensor([[3], [1], [0], [2], [0], [1]])
    patch_mask = present.unsqueeze(-1) & (torch.arange(N) < torch.tensor([N, 3, N])[:, None])
    word_mask = torch.arange(W) < torch.tensor([[W], [2], [3], [0], [0], [W]])
    return ItemTokens(
        normalize(torch.randn(S, T, D), dim=-1) * present.unsqueeze(-1),
        present,
        2 * torch.randn(S, T, N, D) * patch_mask.unsqueeze(-1),
        patch_mask,
        torch.randn(S, W, D) * word_mask.unsqueeze(-1),
        word_mask,
        torch.randn(S, D) * word_mask.any(1, keepdim=True),
        word_mask.any(1),
    )


def scores(f: Fusion, bag: Bag, shop: ItemTokens) -> Tensor:
    return f(f.prepare_clips(*bag), f.encode_products(shop))


def level(rows: Tensor) -> Tensor:
    rows = rows - rows.mean(-1, keepdim=True)
    return rows / rows.square().mean(-1, keepdim=True).sqrt()


def by_pair(f: Fusion, bag: Bag, shop: ItemTokens, i: int, j: int) -> Tensor:
    """One clip and one product, without masks, batches or caches: only what is there."""
    seen = bag[0][i][bag[1][i]]
    patches, words = shop.patches[j][shop.patch_mask[j]], shop.words[j][shop.word_mask[j]]
    if not len(seen) or not len(patches) + len(words):
        return torch.tensor(0.0)
    has = level(torch.cat([patches, words]))
    kind = [0] * len(patches) + [1] * len(words)
    logits = f.latent_queries @ has.T / D**0.5 + f.modality_bias[:, kind]
    latents = torch.softmax(logits, -1) @ has
    inner = f.heads * HEAD
    found = []
    for latent in latents:
        own, read = [], []
        for h in range(f.heads):
            first = slice(h * HEAD, (h + 1) * HEAD)
            second = slice(inner + h * HEAD, inner + (h + 1) * HEAD)
            keys, values = (
                level(seen @ f.clip_projection.weight[first].T),
                level(seen @ f.clip_projection.weight[second].T),
            )
            likeness = keys @ level(f.product_projection.weight[first] @ latent) / HEAD
            read.append(level(torch.softmax(f.log_sharpness[h].exp() * likeness, 0) @ values))
            own.append(level(f.product_projection.weight[second] @ latent))
        got, wanted = torch.cat(read), torch.cat(own)
        found.append(functional.gelu(f.hidden(got * wanted)))
    return f.output(torch.stack(found).mean(0)).squeeze()


def close(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-2  # else anything would be close
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("heads", [1, 2])
def test_all_pairs_equal_one_pair_at_a_time(heads: int) -> None:
    f, bag, shop = fusion(heads), clips(), products()
    one_by_one = [[by_pair(f, bag, shop, i, j) for j in range(S)] for i in range(B)]
    close(scores(f, bag, shop), torch.stack([torch.stack(row) for row in one_by_one]))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_the_chosen_get_what_all_pairs_get(count: int) -> None:
    f, bag, shop = fusion(), clips(), products()
    places = torch.stack([torch.randperm(S)[:count] for _ in range(B)])
    side, latents = f.prepare_clips(*bag), f.encode_products(shop)
    everything = f(side, latents)
    close(f.score_candidates(side, latents, places), everything.gather(1, places))
    close(
        f.score_candidates(side, f.prepare_products(latents), places), everything.gather(1, places)
    )
    few = ClipMemory(*(part[:1] for part in side))
    close(f.score_candidates(few, latents, torch.tensor([[5, 0, 1]])), everything[:1, [5, 0, 1]])


def test_a_cached_shelf_scores_the_same() -> None:
    f, bag, shop = fusion(), clips(), products()
    side, latents = f.prepare_clips(*bag), f.encode_products(shop)
    assert torch.equal(f(side, f.prepare_products(latents)), f(side, latents))


class Largest(TorchDispatchMode):
    """Remembers the most numbers that any result had room for."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for part in found if isinstance(found, tuple | list) else [found]:
            if isinstance(part, Tensor):
                self.numbers = max(self.numbers, part.untyped_storage().nbytes() // 4)
        return found


def test_the_chosen_never_copy_their_clip() -> None:
    f, many, count = fusion(heads=1), 200, 6
    side = f.prepare_clips(torch.randn(B, many, D), torch.ones(B, many, dtype=torch.bool))
    latents, places = f.encode_products(products()), torch.arange(count).expand(B, -1)
    with Largest() as largest:
        f.score_candidates(side, latents, places)
    assert 0 < largest.numbers <= B * many * 2 * HEAD  # the keys and values, already there


def test_padding_of_a_clip_reaches_neither_score_nor_gradient() -> None:
    f, (tokens, mask), shop = fusion(), clips(), products()
    before = scores(f, (tokens, mask), shop)
    junk = torch.where(mask.unsqueeze(-1), tokens, torch.full_like(tokens, 1e3)).requires_grad_()
    after = scores(f, (junk, mask), shop)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    after.square().sum().backward()
    assert junk.grad is not None
    assert (junk.grad[~mask] == 0).all()
    assert (junk.grad[mask].abs().amax(-1) > 0).all()


def test_padding_of_a_product_reaches_neither_score_nor_gradient() -> None:
    f, bag, shop = fusion(), clips(), products()
    before = scores(f, bag, shop)
    there, said = shop.patch_mask.unsqueeze(-1), shop.word_mask.unsqueeze(-1)
    patches = torch.where(there, shop.patches, torch.full_like(shop.patches, 1e3))
    words = torch.where(said, shop.words, torch.full_like(shop.words, -1e3))
    junk = replace(shop, patches=patches.requires_grad_(), words=words.requires_grad_())
    after = scores(f, bag, junk)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)
    after.square().sum().backward()
    assert patches.grad is not None and words.grad is not None
    assert (patches.grad[~shop.patch_mask] == 0).all()
    assert (words.grad[~shop.word_mask] == 0).all()
    assert (patches.grad[shop.patch_mask].abs().amax(-1) > 0).all()
    assert (words.grad[shop.word_mask].abs().amax(-1) > 0).all()


def test_alone_as_in_a_padded_batch() -> None:
    f, (tokens, mask), shop = fusion(), clips(), products()
    together = scores(f, (tokens, mask), shop)
    short = tokens[1:2, :4], mask[1:2, :4]
    bare = replace(
        shop[1:2],
        **{n: getattr(shop, n)[1:2, :1] for n in ("images", "image_mask")},
        patches=shop.patches[1:2, :1],
        patch_mask=shop.patch_mask[1:2, :1],
        words=shop.words[1:2, :2],
        word_mask=shop.word_mask[1:2, :2],
    )
    torch.testing.assert_close(scores(f, short, bare), together[1:2, 1:2], atol=1e-5, rtol=0)


def test_a_view_that_is_absent_counts_for_nothing() -> None:
    f, bag, shop = fusion(), clips(), products()
    shown = replace(shop, patch_mask=torch.ones_like(shop.patch_mask))
    hidden = replace(shown, image_mask=torch.zeros_like(shop.image_mask))
    titles = replace(shop, patch_mask=torch.zeros_like(shop.patch_mask))
    assert not torch.allclose(f.encode_products(shown), f.encode_products(titles))
    torch.testing.assert_close(f.encode_products(hidden), f.encode_products(titles))
    assert torch.equal(scores(f, bag, hidden)[:, 3], torch.zeros(B))  # a picture and no title


def test_scores_follow_a_permuted_shelf() -> None:
    f, bag, shop = fusion(), clips(), products()
    order = torch.randperm(S)
    close(scores(f, bag, shop[order]), scores(f, bag, shop)[:, order])


def test_a_clip_is_a_set() -> None:
    f, (tokens, mask), shop = fusion(), clips(), products()
    order = torch.randperm(L)
    shuffled = tokens[:, order], mask[:, order]
    close(scores(f, shuffled, shop), scores(f, (tokens, mask), shop))


def test_a_fresh_one_changes_nothing_and_can_learn() -> None:
    fresh, bag, shop = Fusion(D, latents=3), clips(), products()
    found = scores(fresh, bag, shop)
    assert torch.equal(found, torch.zeros(B, S))
    found[0, 0].backward()
    assert fresh.output.weight.grad is not None and fresh.output.weight.grad.abs().min() > 0


def test_a_fresh_query_finds_the_token_like_it() -> None:
    torch.manual_seed(2)
    f = Fusion(128)
    latents, tokens = torch.randn(S, 8, 128), torch.randn(1, 60, 128)
    tokens[0, :8] = latents[0] + 0.3 * torch.randn(8, 128)
    side, asked = (
        f.prepare_clips(tokens, torch.ones(1, 60, dtype=torch.bool)),
        f.prepare_products(latents[:1]),
    )
    found = (asked.queries[0] @ side.keys[0].mT).argmax(-1)
    assert torch.equal(found, torch.arange(8)[None])
    likeness = functional.cosine_similarity(side.values[0, 0, :8], asked.values[0], dim=-1)
    assert likeness.min() > 0.8


def test_every_parameter_learns() -> None:
    f = fusion()
    scores(f, clips(), products()).square().sum().backward()
    for name, parameter in f.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        assert (parameter.grad.abs().sum(-1) > 0).all(), name


def test_nothing_on_either_side_is_zero_and_spoils_no_gradient() -> None:
    f, (tokens, mask), shop = fusion(), clips(), products()
    bag = tokens.requires_grad_(), mask
    found = scores(f, bag, shop)
    assert torch.equal(f.encode_products(shop)[4], torch.zeros(3, D))
    assert torch.equal(found[3], torch.zeros(S)) and torch.equal(found[:, 4], torch.zeros(B))
    assert (found[:3, [0, 1, 2, 3, 5]] != 0).all()
    found.square().sum().backward()
    assert tokens.grad is not None and tokens.grad.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in f.parameters())


def test_no_room_for_any_token_is_zero_too() -> None:
    f, (tokens, mask), shop = fusion(), clips(), products()
    assert torch.equal(scores(f, (tokens[:, :0], mask[:, :0]), shop), torch.zeros(B, S))
    bare = replace(shop, words=shop.words[:, :0], word_mask=shop.word_mask[:, :0])
    bare = replace(bare, patches=bare.patches[:, :, :0], patch_mask=bare.patch_mask[:, :, :0])
    assert torch.equal(scores(f, (tokens, mask), bare), torch.zeros(B, S))


def shown(patches: Tensor) -> ItemTokens:
    """Products (S, N, D) of one picture and no title."""
    count, dim = len(patches), patches.shape[-1]
    there, none = torch.ones(count, 1, dtype=torch.bool), torch.zeros(count, 0, dtype=torch.bool)
    whole = normalize(patches.mean(1, keepdim=True), dim=-1)
    mask = torch.ones(count, 1, patches.shape[1], dtype=torch.bool)
    words, said = torch.zeros(count, 0, dim), torch.zeros(count, dim)
    return ItemTokens(whole, there, patches[:, None], mask, words, none, said, ~there[:, 0])


def twins(count: int) -> tuple[Tensor, Tensor]:
    """Clips (B, L, 32), and products (2·B, N, 32): the true ones, then their twins.

    A patch is what a thing is made of (16 numbers) and what is printed on it (16). Twins differ
    in the print of one patch. The clip shows the product, and beside it another thing that wears
    the twin's print: pooled, both prints are there alike, and only who wears which tells.
    """

    def drawn(patches: int) -> Tensor:
        return normalize(torch.randn(count, patches, 16), dim=-1)

    def printed(stuff: Tensor, label: Tensor) -> Tensor:
        blank = torch.cat([stuff, torch.zeros_like(stuff)], -1)
        worn = torch.cat([normalize(stuff.mean(1, keepdim=True), dim=-1), label], -1)
        return torch.cat([blank, worn], 1)

    stuff, label, other = drawn(4), drawn(1), drawn(1)
    clip = [printed(stuff, label), printed(drawn(4), other)]
    return torch.cat(clip, 1), torch.cat([printed(stuff, label), printed(stuff, other)])


def margin(f: Fusion, clip: Tensor, shop: Tensor) -> Tensor:
    """By how much the true product leads its twin (B,)."""
    side = f.prepare_clips(clip, torch.ones(clip.shape[:2], dtype=torch.bool))
    places = torch.arange(len(shop)).view(2, -1).T
    found = f.score_candidates(side, f.encode_products(shown(shop)), places)
    return found[:, 0] - found[:, 1]


def test_twins_that_pooling_cannot_tell_apart_are_told_apart() -> None:
    torch.manual_seed(4)
    f = Fusion(32)
    unseen = twins(300)
    true, twin = unseen[1].mean(1).chunk(2)
    pooled = normalize(unseen[0].mean(1), dim=-1)
    assert (pooled * (normalize(true, dim=-1) - normalize(twin, dim=-1))).sum(-1).abs().max() < 1e-6
    optimizer = torch.optim.AdamW(f.parameters(), lr=3e-3)
    for _ in range(120):
        optimizer.zero_grad()
        functional.softplus(-margin(f, *twins(32))).mean().backward()
        optimizer.step()
    with torch.no_grad():
        assert (margin(f, *unseen) > 0).float().mean() > 0.95
